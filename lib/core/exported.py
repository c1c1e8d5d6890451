"""A trained network as one folder that the demos run without a YAML file, and without the code that builds networks.

    model.json                what it is, and its settings: classes, pixel means, SCALES, key-frame interval, thresholds
    <name>.<operators>.json   its test networks, batch normalisation folded: `frame`, or `key` and `current` of DFF; of
                              native operators and of MXNet's own, the first where they are built
    model-0000.params         their parameters
"""
import functools
import json
import os

import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx

from lib.core.checkpoint import file_name, load_params, save_arrays
from lib.core.executors import check_params
from lib.core.exported_check import Fit, check_settings, largest_input as largest_of, mxnet_refusing
from lib.core.inference_graph import fold_batch_norm
from lib.core.inference_networks import has_flow, largest_input
from lib.core.network_rules import check_nodes
from lib.core.symbol_file import read_symbol
from lib.operator_cxx import loader
from lib.symbols.graph import Graph
from lib.utils.errors import CheckpointError
from lib.utils.files import atomic_path

FORMAT = 1
INDEX = 'model.json'
INPUTS = ('data', 'im_info', 'data_key', 'feat_key', 'softmax_label')     # the last: of DeepLab's softmax, never given
NATIVE, BUILT_IN = 'native', 'built_in'


def export_model(config, instance, arg_params, aux_params, classes, folder, source):
    """Write the network `instance` (a symbol class) with its parameters into `folder`.

    classes: what dataset.CLASSES shall list; source: what messages call the parameters, and what model.json keeps of
    their origin. Raises CheckpointError where parameters are missing or a file cannot be written.
    """
    builders = ({'key': instance.get_key_test_symbol, 'current': instance.get_cur_test_symbol} if has_flow(instance)
                else {'frame': instance.get_test_symbol})
    texts, params, shapes = {}, {}, _input_shapes(config, instance)
    with loader.built_in():
        texts[BUILT_IN] = {name: _folded(build(config), shapes, arg_params, aux_params, params, source) for name, build in builders.items()}
    if loader.load():
        texts[NATIVE] = {name: _folded(build(config), shapes, arg_params, aux_params, params, source) for name, build in builders.items()}
    save_arrays(file_name(os.path.join(folder, 'model'), 0), {'arg:' + name: mx.nd.array(value) for name, value in params.items()})
    index = {'format': FORMAT, 'networks': sorted(builders), 'operators': sorted(texts), 'made_from': source,
             'settings': _settings(config, classes)}
    files = {'%s.%s.json' % (name, operators): text for operators, named in texts.items() for name, text in named.items()}
    try:
        # The index comes last: a folder without it is no model.
        for name, text in list(files.items()) + [(INDEX, json.dumps(index, indent=1))]:
            with atomic_path(os.path.join(folder, name)) as temporary, open(temporary, 'w', encoding='utf-8') as stream:
                stream.write(text)
    except OSError as error:
        raise CheckpointError('cannot write %s: %s' % (os.path.join(folder, name), error.strerror)) from error


def _input_shapes(config, instance):
    """{input of the test networks: shape} at the largest size that SCALES allows."""
    image = (1, 3) + largest_input(config)
    shapes = {'data': image, 'data_key': image, 'im_info': (1, 3)}
    if has_flow(instance):
        feature = instance.get_key_test_symbol(config)[2]       # behind data_key and feat_key, which it hands through
        shapes['feat_key'] = feature.infer_shape(data=image)[1][0]
    return shapes


def _folded(symbol, shapes, arg_params, aux_params, params, source):
    """The JSON text of `symbol` with its normalisation folded; its parameters are added to `params`."""
    inputs = set(symbol.list_arguments()) & set(shapes)
    arg_shapes, _, aux_shapes = symbol.infer_shape(**{name: shapes[name] for name in inputs})
    needed = {name: shape for name, shape in zip(symbol.list_arguments(), arg_shapes) if name not in INPUTS}
    check_params([(needed, arg_params), (dict(zip(symbol.list_auxiliary_states(), aux_shapes)), aux_params)], source)
    graph, arguments = Graph(symbol), dict(arg_params)
    fold_batch_norm(graph, arguments, aux_params)
    symbol = graph.symbol()
    params.update({name: arguments[name] for name in symbol.list_arguments() if name not in INPUTS})
    if symbol.list_auxiliary_states():
        raise CheckpointError('%s: %s is not behind a convolution, and cannot be folded' % (source, symbol.list_auxiliary_states()[0]))
    return symbol.tojson()


def _settings(config, classes):
    """What running the network takes of the settings, as plain values."""
    network = {key: value for key, value in config.network.items() if not key.startswith(('pretrained', 'FIXED_PARAMS'))}
    test = {key: value for key, value in config.TEST.items() if key != 'test_epoch'}
    dataset = {'dataset': config.dataset.dataset, 'NUM_CLASSES': config.dataset.NUM_CLASSES, 'CLASSES': list(classes)}
    return {'symbol': config.symbol, 'CLASS_AGNOSTIC': config.CLASS_AGNOSTIC, 'SCALES': list(config.SCALES[0]),
            'network': network, 'dataset': dataset, 'TEST': test}


def is_exported(path):
    """Whether `path` is a folder that export_model wrote, and not the prefix of a checkpoint."""
    return bool(path) and os.path.isfile(os.path.join(path, INDEX))


def exported_settings(folder):
    """The settings, a tree as of a YAML file, of an exported folder. Raises CheckpointError."""
    return _index(folder)['settings']


def load_exported(folder):
    """(symbol instance, arg_params, aux_params, name of the parameter file) of an exported folder.

    The instance has the methods of a symbol class that testing calls; they ignore their settings. Its
    `check_size` is called with the height and width of every input, and `guard()` around what runs it.
    Raises CheckpointError where a file is missing, damaged, or holds what no export writes.
    """
    index = _index(folder)
    operators = NATIVE if NATIVE in index['operators'] and loader.load() else BUILT_IN
    paths = {name: os.path.join(folder, '%s.%s.json' % (name, operators)) for name in index['networks']}
    symbols = {name: read_symbol(path, check_nodes) for name, path in paths.items()}
    prefix = os.path.join(folder, 'model')
    params, source = load_params(prefix, 0), file_name(prefix, 0)
    instance = _FlowNetwork(symbols) if 'key' in symbols else _FrameNetwork(symbols)
    instance.check_size = Fit({name: (paths[name], symbol) for name, symbol in symbols.items()}, index['settings'], params[0], source)
    instance.check_size(*largest_of(index['settings']))
    instance.guard = functools.partial(mxnet_refusing, source)
    return (instance,) + params + (source,)


def _index(folder):
    path = os.path.join(folder, INDEX)
    try:
        with open(path, encoding='utf-8') as stream:
            index = json.load(stream)
        known = (index['format'] == FORMAT and isinstance(index['settings']['symbol'], str) and BUILT_IN in index['operators']
                 and index['networks'] in (['frame'], ['current', 'key']))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError('%s is damaged (%r); export the model again' % (path, error)) from error
    if not known:
        raise CheckpointError('%s is of another version of this project; export the model again' % path)
    check_settings(index['settings'], path)
    return index


class _FrameNetwork:
    """The frame baseline of an exported folder."""

    def __init__(self, symbols):
        self._symbols = symbols

    def get_test_symbol(self, cfg):
        """The network for one frame."""
        return self._symbols['frame']


class _FlowNetwork:
    """DFF of an exported folder."""

    def __init__(self, symbols):
        self._symbols = symbols

    def get_key_test_symbol(self, cfg):
        """The network for key frames."""
        return self._symbols['key']

    def get_cur_test_symbol(self, cfg):
        """The network for all other frames."""
        return self._symbols['current']
