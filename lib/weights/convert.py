"""Conversion of one file: find out whose it is, take every parameter, compare the outputs, write the result."""
import os
from collections import namedtuple

import lib  # noqa: F401  (prepares the import of MXNet)
import mxnet as mx
import numpy as np

from lib.engine.checkpoint import file_name, save_arrays
from lib.engine.executors import ExecutorPool
from lib.symbols.backbones.resnet_v1 import STAGES
from dff.errors import CheckpointError
from dff.files import file_sha256, write_json
from dff.image import to_tensor
from lib.weights.convention import BYTE, ONE
from lib.weights.flow import FlowNet
from lib.weights.resnet import ResNet, graph_family
from lib.weights.torch_import import import_torch

TARGETS = {'resnet_v1_%d' % depth: depth for depth in sorted(STAGES)}
TARGETS['flownet'] = None
# What such a file does not say of its images, and what to do where it is otherwise.
_ASSUMED = {
    'bgr': 'assumed: it was trained on BGR pixels minus 104, 117, 123, as ImageNet networks of Caffe are',
    'rgb': 'assumed: it was trained on RGB pixels, scaled as those of torchvision; --caffe_style if on BGR pixels '
           'minus 104, 117, 123',
}
TOLERANCE = 1e-4       # of the parity check, relative to the largest value
IMAGE_SHAPE = (128, 128, 3)
# params: {'arg:name' or 'aux:name': array}; rows: (our layer, shape of its weight, their names of its parts);
# unmatched: their names that are not used; initialised: (our name, what it starts as), parameters that they lack;
# settings: {config key: value} that the network needs; notes: what was done; error: of the parity check.
Converted = namedtuple('Converted', 'title params rows unmatched initialised settings notes error')


def convert(source, target, means=None, caffe_style=False):
    """Return what a file holds as our parameters, a Converted.

    Args:
        source: Source (lib/weights/readers.py).
        target: one of TARGETS.
        means: PIXEL_MEANS that the network shall work with, blue, green, red; by default those of
            the file for a ResNet, and the default ones for FlowNet.
        caffe_style: PyTorch's names, but images (and stride) as in Caffe.

    Raises:
        CheckpointError: the file does not fit, or gives other outputs than its own framework; with
            the reason.
    """
    kind = FlowNet() if TARGETS[target] is None else ResNet(TARGETS[target])
    family, prefix = _find_family(source, kind, target)
    by_graph = family is None
    if by_graph:
        kind, family, source = _by_graph(source, target, caffe_style)
    else:
        family = kind.adapted(family, source.author, caffe_style)
    means = tuple(kind.means(family.convention) if means is None else means)

    def names(layer):
        return {part: prefix + name for part, name in kind.names(family, layer).items()}

    if not by_graph:
        _check_complete(source, kind, family, prefix, target, names)
    _check_shapes(source, kind, family, names)
    params, rows, used, initialised = {}, [], set(), []
    for layer in kind.layers:
        taken = {part: name for part, name in names(layer).items() if name in source.tensors}
        used.update(taken.values())
        values = kind.convert_layer(layer,
                                    {part: source.tensors[name] for part, name in taken.items()},
                                    family.convention, means)
        params.update(values)
        rows.append((layer.conv, tuple(source.tensors[taken['weight']].shape), sorted(taken.values())))
        if 'arg:%s_bias' % layer.conv in values and 'bias' not in taken:
            initialised.append((layer.conv + '_bias', '0'))
    initialised += kind.absent
    error = _parity(source, kind, family, names, params, means)
    notes = _notes(family.convention, means) + ([_ASSUMED[family.convention.order]] if by_graph else [])
    return Converted(family.title, params, rows, sorted(set(source.tensors) - used), initialised,
                     kind.settings(family, means), notes, error)


def _by_graph(source, target, caffe_style):
    """(ResNet, Family, Source) of a file whose names tell nothing."""
    caffe_style = caffe_style or str(source.path).endswith('.caffemodel')
    kind, family, tensors = graph_family(source.network, source.path, caffe_style)
    if kind.depth != TARGETS[target]:
        raise CheckpointError('%s (%s) is no %s: it is a resnet_v1_%d'
                              % (source.path, family.title, target, kind.depth))
    return kind, family, source._replace(tensors=tensors)


def _find_family(source, kind, target):
    """(family, what stands before its names) of a file; (None, '') of a ResNet that its graph has to tell."""
    for family in kind.families:
        prefixes = {name[:-len(family.example)] for name in source.tensors if name.endswith(family.example)}
        prefixes = sorted(prefix for prefix in prefixes if not prefix or prefix.endswith('.'))
        without = getattr(family, 'without', None)
        if not prefixes or (without and prefixes[0] + without in source.tensors):
            continue
        if len(prefixes) > 1:
            raise CheckpointError('%s holds %d networks of one kind (names begin with %s): save '
                                  'the one you want alone'
                                  % (source.path, len(prefixes), ', '.join(repr(prefix) for prefix in prefixes)))
        _refuse_others(source, kind, prefixes[0])
        return family, prefixes[0]
    _refuse_others(source, kind, '')
    if source.network and source.network.layers and TARGETS[target] is not None:
        return None, ''
    raise CheckpointError(
        '%s holds no %s under names of a known framework; it begins with %s. Known: %s'
        % (source.path, target, ', '.join(sorted(source.tensors)[:4]), '; '.join(
            family.title for family in kind.families)))


def _refuse_others(source, kind, prefix):
    for part, reason in kind.other_architectures:
        if any(part in name for name in source.tensors if name.startswith(prefix)):
            raise CheckpointError('%s has another architecture: %s (a name has %r in '
                                  'it)' % (source.path, reason, part))


def _check_complete(source, kind, family, prefix, target, names):
    """Every layer is there, and the network is of the depth that was asked for."""
    other = kind.other_size(family, lambda name: prefix + name in source.tensors)
    missing = [name for layer in kind.layers for part, name in names(layer).items()
               if part != 'bias' and name not in source.tensors]
    if other or missing:
        raise CheckpointError(
            '%s (%s) is no %s: %s'
            % (source.path, family.title, target,
             'it is a ' + other if other else '%d parameters are missing, as %s'
             % (len(missing), ', '.join(missing[:3]))))


def _check_shapes(source, kind, family, names):
    """Every tensor that will be taken has the shape of ours; all these frameworks lay weights out alike."""
    symbol = kind.symbol(family)
    needed = dict(zip(symbol.list_arguments(), symbol.infer_shape(**_inputs(kind))[0]))
    for layer in kind.layers:
        weight = needed[layer.conv + '_weight']
        for part, name in names(layer).items():
            wanted = weight if part == 'weight' else needed.get(layer.conv + '_bias', weight[:1])
            if name in source.tensors and source.tensors[name].shape != tuple(wanted):
                raise CheckpointError(
                    '%s has another architecture: its %s has shape %s, ours %s (a wide or grouped network?)'
                    % (source.path, name, source.tensors[name].shape, tuple(wanted)))


def _inputs(kind):
    """{input of the parity check's network: shape}"""
    return {name: (1, 3) + IMAGE_SHAPE[:2] for name in kind.inputs}


def _parity(source, kind, family, names, params, means):
    """Largest difference between their forward and ours on random images, relative to the largest value.

    Raises CheckpointError where it is above TOLERANCE.
    """
    rng = np.random.RandomState(0)
    images = [rng.randint(0, 256, IMAGE_SHAPE).astype(np.uint8) for _ in kind.inputs]
    theirs = kind.reference(images, names, source.tensors, family, means)
    pool = ExecutorPool(kind.symbol(family), mx.cpu(), _inputs(kind))
    pool.set_params(*({name[len(sort):]: mx.nd.array(value) for name, value in params.items() if name.startswith(sort)}
                      for sort in ('arg:', 'aux:')), source=source.path)
    ours = pool.forward({name: to_tensor(image, means) for name, image in zip(kind.inputs, images)}).outputs
    with np.errstate(invalid='ignore', divide='ignore'):
        errors = [np.abs(mine.asnumpy() - other).max() / np.abs(other).max() for mine, other in zip(ours, theirs)]
    error = float(np.max(errors))
    if not error <= TOLERANCE:     # a NaN too
        raise CheckpointError(
            '%s: the converted network gives other outputs than its own framework (%.1e of the largest value, '
            'allowed %.0e); nothing was written. Are its numbers sound?'
            % (source.path, error, TOLERANCE))
    return error


def _notes(convention, means):
    """What was done to the numbers, in words."""
    notes = ['images: RGB pixels from 0 to 255 minus network.PIXEL_MEANS, as everywhere in this project']
    if convention.order == 'bgr':
        notes.append('first convolution: channels from BGR to RGB')
    if convention.stds == BYTE:
        notes.append('both networks divide pixels by 255')
    elif convention.stds != ONE:
        notes.append('first convolution: division of pixels by %s folded in' % _triple(convention.stds))
    if convention.means is None:
        notes.append('their pixel means are those of each image; PIXEL_MEANS takes their place')
    elif tuple(convention.means) != tuple(means):
        notes.append(
            'pixel means %s folded in for PIXEL_MEANS %s (exact but for the border, where padding '
            'is of PIXEL_MEANS)'
            % (_triple(convention.means), _triple(means)))
    return notes


def _triple(values):
    return '[%s] (blue, green, red)' % ', '.join('%g' % round(float(value), 3) for value in values)


def framework():
    """What the parity check runs the foreign network on."""
    torch = import_torch()
    return 'PyTorch ' + torch.__version__ if torch else 'NumPy ' + np.__version__


def write(converted, source, target, prefix, origin=''):
    """Write <prefix>-0000.params and, beside it, <prefix>-0000.source.json.

    The second holds checksums, origin and what was done.

    Args:
        converted: Converted.
        source: the Source it was made from.
        target: one of TARGETS.
        prefix: of the files.
        origin: where the file was had, in words.

    Returns:
        The path of the parameters.

    Raises:
        CheckpointError: a file cannot be written.
    """
    path = file_name(prefix, 0)
    save_arrays(path, {name: mx.nd.array(value) for name, value in converted.params.items()})
    record = {
        'converted_to': target, 'family': converted.title, 'settings': converted.settings, 'done': converted.notes,
        'source': {'file': os.path.basename(source.path), 'origin': origin, 'sha256': file_sha256(source.path)},
        'params_sha256': file_sha256(path), 'matched': {layer: parts for layer, _, parts in converted.rows},
        'unmatched': converted.unmatched, 'initialised': dict(converted.initialised),
        'parity': {'largest_relative_difference': converted.error, 'reference': framework()},
    }
    record_path = file_name(prefix, 0, 'source.json')
    try:
        write_json(record_path, record)
    except OSError as error:
        raise CheckpointError('cannot write %s: %s' % (record_path, error.strerror)) from error
    return path


def table(converted):
    """The lines of the report: matched, unmatched and re-initialised parameters."""
    width = max(len(layer) for layer, _, _ in converted.rows)
    lines = ['%-*s  %-18s  %s' % (width, 'layer', 'shape', 'taken from')]
    lines += [
        '%-*s  %-18s  %s' % (width, layer, 'x'.join(map(str, shape)), _short(parts))
        for layer, shape, parts in converted.rows
    ]
    matched = sum(len(parts) for _, _, parts in converted.rows)
    lines.append('matched: %d of their parameters, in %d layers' % (matched, len(converted.rows)))
    lines.append('unmatched, not used: %s' % (', '.join(converted.unmatched[:8]) + (
        ' and %d more' % (len(converted.unmatched) - 8) if len(converted.unmatched) > 8 else '') or 'none'))
    lines.append('re-initialised: %s' % ('; '.join('%s: %s' % pair for pair in converted.initialised) or 'none'))
    return lines


def _short(parts):
    """Names with their common beginning once: layer1.0.bn1.{bias, weight}."""
    common = os.path.commonprefix(parts)
    return '%s{%s}' % (common, ', '.join(part[len(common):] for part in parts)) if len(parts) > 1 else parts[0]
