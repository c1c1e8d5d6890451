"""The check of an exported folder before anything is bound: a stranger may have written it.

model.json has the settings that an export writes and no others; the networks are checked in
lib/graph/exported_network.py. Each refusal is a CheckpointError of one line.
"""
import contextlib
import math

import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx

from lib.engine.param_shapes import check_params
from lib.graph.exported_network import ExportedNetwork
from lib.graph.symbol_file import Refused
from dff.errors import CheckpointError

MAKERS = 'key', 'feature'                         # the networks whose outputs others take
SECTIONS = {'symbol', 'CLASS_AGNOSTIC', 'SCALES', 'network', 'dataset', 'TEST'}
DATASET = {'dataset', 'NUM_CLASSES', 'CLASSES'}
MOST_CLASSES, TEXT, LARGEST = 65536, 1000, 1e9   # classes, characters and numbers of a setting
SIDES, MOST_PIXELS = (16, 8192), 1 << 24         # of the network's input: beyond 4K video
NUMBERS = (('network', 'RCNN_FEAT_STRIDE', 1, 256), ('network', 'IMAGE_STRIDE', 0, 1024),
           ('TEST', 'KEY_FRAME_INTERVAL', 1, 10000), ('dataset', 'NUM_CLASSES', 2, MOST_CLASSES))


@contextlib.contextmanager
def _refusing(path):
    """A Refused of the file `path` as the user's error."""
    try:
        yield
    except Refused as reason:
        raise CheckpointError('%s is refused: %s. Exports hold nothing of the kind; export the '
                              'model again' % (path, reason)) from None


@contextlib.contextmanager
def mxnet_refusing(source):
    """An error of MXNet about the networks with the parameters `source` as the user's error.

    Some show only when a network is bound, or runs.
    """
    try:
        yield
    except mx.base.MXNetError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ['']
        reason = next((line for line in lines if line.startswith('MXNetError')), lines[-1])
        raise CheckpointError('%s: MXNet cannot run its networks (%.200s); export the model again'
                              % (source, reason)) from error


def check_settings(settings, path):
    """Refuse settings that no export writes: they name no file, and no size beyond reason.

    settings: a tree of model.json, which is called `path`. Raises CheckpointError.
    """
    with _refusing(path):
        _check_values(settings, 'settings')
        sections = [settings.get('network'), settings.get('dataset'), settings.get('TEST', {})]
        if not all(isinstance(section, dict) for section in sections):
            raise Refused('its settings lack a section')
        for section, known in ((settings, SECTIONS), (settings['dataset'], DATASET)):
            if not set(section) <= known:
                raise Refused('there is a setting %.50r' % min(set(section) - known))
        for section, key, least, most in NUMBERS:
            found = settings.get(section, {}).get(key, least)
            if not _whole(found, least, most):
                raise Refused('%s is %.50r, not from %d to %d' % (key, found, least, most))
        _check_classes(settings['dataset'].get('CLASSES'))
        _check_scales(settings)


def _whole(value, least, most):
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _check_classes(classes):
    """A text would be the name of a file, whose lines would come out as the names of classes."""
    if (not isinstance(classes, list) or not 0 < len(classes) <= MOST_CLASSES
            or not all(isinstance(name, str) and name.strip() for name in classes)):
        raise Refused('CLASSES is no list of names')


def _check_scales(settings):
    scales = settings.get('SCALES')
    if (not isinstance(scales, list) or len(scales) != 2
            or not all(_whole(side, *SIDES) for side in scales)
            or math.prod(largest_input(settings)) > MOST_PIXELS):
        raise Refused('SCALES is not two sides from %d to %d, of %d pixels at most'
                      % (SIDES + (MOST_PIXELS,)))


def _check_values(value, name, depth=4):
    """Numbers are finite, texts and keys short and of one line, no tree is deep."""
    texts = list(value) if isinstance(value, dict) else [value] if isinstance(value, str) else []
    small = not isinstance(value, (int, float)) or abs(value) <= LARGEST
    if not small or not all(len(text) <= TEXT and text.isprintable() for text in texts):
        raise Refused('%s is %.50r' % (name, value))
    children = value.items() if isinstance(value, dict) else ()
    children = enumerate(value) if isinstance(value, list) else children
    if children and not depth:
        raise Refused('%s is a tree of its own' % name)
    for key, child in children:
        _check_values(child, '%.50s.%.50s' % (name, key), depth - 1)


def largest_input(settings):
    """(height, width) of the largest input that the settings of model.json allow."""
    stride = max(1, settings['network'].get('IMAGE_STRIDE', 0))
    return tuple(-(-side // stride) * stride for side in settings['SCALES'])


def reach_of(settings):
    """Return K, the frames to each side of a window, of the settings of model.json."""
    return settings.get('TEST', {}).get('KEY_FRAME_INTERVAL', 1)


def window_inputs(kept, reach):
    """Return {input of the network that joins a window: shape}.

    kept: shapes of the feature and the embedding of a frame, [1, C, h, w]; reach: K.
    """
    places = (2 * reach + 1,)
    feature, embedding = (places + tuple(shape[1:]) for shape in kept)
    return {'feat_cache': feature, 'embed_cache': embedding, 'flow': places + (2,) + feature[2:], 'centre': (1,)}


class Fit:
    """Whether the networks of a folder fit an input size: fit(height, width).

    It raises CheckpointError where they do not. It is asked for every size that is to be bound,
    because for some sizes alone MXNet lets arrays pass that do not fit each other.

    Args:
        networks: {'frame': (path, symbol)}, or of 'key' and 'current', or of 'feature', 'flow' and 'window'.
        settings: those of model.json, checked.
        recognises: 'detection' or 'segmentation'.
        arg_params, source: the parameters, and what messages call their file.
    """

    def __init__(self, networks, settings, recognises, arg_params, source):
        self._params, self._source, self._seen, self._networks = arg_params, source, set(), []
        self._reach = reach_of(settings)
        # Those that make features before those that take them.
        for role, (path, symbol) in sorted(networks.items(), key=lambda item: (item[0] not in MAKERS, item[0])):
            with _refusing(path):
                self._networks.append((path, ExportedNetwork(role, symbol, settings, recognises)))

    def __call__(self, height, width):
        if (height, width) in self._seen:
            return
        image = (1, 3, height, width)
        inputs = {'data': image, 'data_key': image, 'data_ref': image, 'im_info': (1, 3)}
        for path, network in self._networks:
            with _refusing(path):
                shapes = network.shapes(inputs)
            # Before what its outputs are: of another number of classes its parameters tell.
            check_params([(network.needed(shapes), self._params)], self._source)
            with _refusing(path):
                network.check_outputs(shapes, image)
            if network.role == 'key':
                inputs['feat_key'] = network.outputs(shapes)[0]
            if network.role == 'feature':
                inputs.update(window_inputs(network.outputs(shapes), self._reach))
            if network.role == 'flow' and network.outputs(shapes) != [(1,) + inputs['flow'][1:]]:
                with _refusing(path):
                    raise Refused('its flow does not fit the feature')
        self._seen.add((height, width))
