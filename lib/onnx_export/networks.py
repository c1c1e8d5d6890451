"""The test networks of a task as ONNX models."""

import json

import mxnet as mx
import numpy as np

from dff.errors import ExportError
from dff.frames import largest_input
from lib.graph.graph import Graph
from lib.inference.key_frames import input_format
from lib.onnx_export import layers, motion, regions  # noqa: F401  (they register conversions)
from lib.onnx_export.builder import Builder
from lib.onnx_export.converter import convert
from lib.onnx_export.heads import HEADS, image_info
from lib.onnx_export.proto import Tensor, make_model
from lib.onnx_export.window import window_models

IMAGE = 'RGB minus the pixel means, the frame scaled by the rule in the metadata'
VARIABLES = {
    'data': 'image',
    'data_key': 'key_image',
    'feat_key': 'key_feature',
    'data_other': 'other_image',
    'feat_other': 'other_feature',
    'key_share': 'other_share',
}


def network_models(task, instance, symbols, parameters, classes, size=None):
    """Return {'frame': ModelProto}; {'key': ..., 'current': ...} where the network propagates, and 'between' where
    `symbols` has it; where it aggregates those of lib.onnx_export.window.

    Args:
        task: a Task, with its settings.
        instance: its symbol class, which is asked what the outputs mean.
        symbols: {name: symbol}, of MXNet's own operators and with batch normalisation folded.
        parameters: {name: array}.
        classes: what dataset.CLASSES lists.
        size: (height, width) of all images; None: any.

    Raises ExportError where something has no form in ONNX.
    """
    if task.recognises not in HEADS:
        raise ExportError(
            'task %s: there is no ONNX form of what finds %s; there is one for %s'
            % (task.name, task.recognises, ', '.join(sorted(HEADS)))
        )
    texts = metadata(task, classes)
    if instance.aggregates:
        tensors = _window_tensors(task.config, symbols['feature'], size)
        return window_models(task, instance, symbols, parameters, tensors, texts)
    feature = instance.key_feature(symbols['key']) if instance.propagates else None
    tensors = _image_tensors(task.config, feature, size)
    return {
        name: _model(
            name,
            task,
            instance,
            symbol,
            _extra(name, task, instance, symbol, feature, tensors),
            tensors,
            parameters,
            texts,
        )
        for name, symbol in symbols.items()
    }


def _image_tensors(config, feature, size):
    """{input: Tensor} of the inputs that are as large as the image, or as the feature map."""
    height, width = size or ('height', 'width')
    cells, channels = ('feature_height', 'feature_width'), None
    if feature is not None:
        _, channels, *known = feature.infer_shape(
            data=(1, 3) + (size or largest_input(input_format(config)))
        )[1][0]
        cells = tuple(known) if size else cells
    return {
        'image': Tensor('image', np.float32, (1, 3, height, width), IMAGE),
        'key_image': Tensor(
            'key_image', np.float32, (1, 3, height, width), 'image of the key frame'
        ),
        'key_feature': Tensor(
            'key_feature', np.float32, (1, channels) + cells, 'feature of the key frame'
        ),
        'other_image': Tensor(
            'other_image', np.float32, (1, 3, height, width), 'image of the key frame on the other side'
        ),
        'other_feature': Tensor(
            'other_feature', np.float32, (1, channels) + cells, 'feature of that key frame'
        ),
        'other_share': Tensor(
            'other_share', np.float32, (1,), 'by how much that key frame counts, 0 to 1: linear in time'
        ),
    }


def _window_tensors(config, symbol, size):
    """{'image', 'feature', 'embedding': Tensor}; symbol: of feature and embedding."""
    tensors = _image_tensors(config, symbol[0], size)
    largest = (1, 3) + (size or largest_input(input_format(config)))
    channels = symbol[1].infer_shape(data=largest)[1][0][1]
    feature = tensors['key_feature']._replace(name='feature', meaning='of the image')
    return {
        'image': tensors['image'],
        'feature': feature,
        'embedding': feature._replace(
            name='embedding',
            shape=(1, channels) + tuple(feature.shape[2:]),
            meaning='of the feature',
        ),
    }


def with_two_keys(symbol):
    """Return `symbol`, a network for frames between two key frames, with one input for each of theirs."""
    pairs = (('data_key', 'data_other'), ('feat_key', 'feat_other'))
    return symbol(
        **{
            first: mx.sym.Concat(*(mx.sym.Variable(each) for each in (first, second)), dim=0)
            for first, second in pairs
        }
    )


def _extra(name, task, instance, symbol, feature, tensors):
    """(Tensor, symbol) of what a network hands out beside its results; None where there is nothing."""
    if name == 'key':
        meaning = 'for current.onnx'
        return tensors['key_feature']._replace(name='feature', meaning=meaning), feature
    if name in ('current', 'between') and task.recognises == 'detection':
        meaning = 'cells from each cell of the feature map to its place in the key frame: right, down'
        shape = (1, 2) + tuple(tensors['key_feature'].shape[2:])
        # Between two key frames: to the first of them.
        flow = mx.sym.slice_axis(instance.flow(symbol, task.config), axis=0, begin=0, end=1)
        return Tensor('flow', np.float32, shape, meaning), flow
    return None


def _model(name, task, instance, symbol, extra, tensors, parameters, texts):
    """The ModelProto of one network; extra: of _extra."""
    build, head, config = Builder(), HEADS[task.recognises], task.config
    found = instance.head_outputs(symbol)
    graph = Graph(mx.sym.Group(([extra[1]] if extra else []) + found))
    variables = {node.name for node in graph.nodes() if node.op == 'null'}
    needed = {variable: value for variable, value in VARIABLES.items() if variable in variables}
    inputs = [tensors[value] for value in needed.values()] + head.inputs
    names = {each.name: each.name for each in inputs}
    if 'im_info' in variables:
        needed['im_info'] = image_info(build, 'image', 'scale')
    values = convert(graph, build, needed, parameters)
    outputs = head.outputs(config)
    head.append(build, values[-len(found) :], names, config)
    if extra:
        build.op('Identity', values[0], output=extra[0].name)
        outputs = [extra[0]] + outputs
    return make_model(
        build, '%s_%s' % (task.name, name), inputs, outputs, dict(texts, network=name)
    )


def metadata(task, classes):
    """Return {key: text} of what running the models of a Task takes beside their inputs; classes:
    as of network_models.
    """
    config = task.config
    test, (shorter, longest) = config.TEST, config.SCALES[0]
    rule = (
        'The shorter side of a frame becomes %d pixels, the longer one at most %d (bilinear).'
        % (shorter, longest)
        + (
            ' Zeros are added on the right and below up to multiples of %d.'
            % config.network.IMAGE_STRIDE
            if config.network.IMAGE_STRIDE
            else ''
        )
        + ' Then the pixel means, listed blue, green, red, are taken off.'
    )
    values = {
        'classes': list(classes),
        'pixel_means': list(config.network.PIXEL_MEANS),
        'scales': [shorter, longest],
        'image_stride': config.network.IMAGE_STRIDE,
        'feature_stride': config.network.RCNN_FEAT_STRIDE,
        'key_frame_interval': test.KEY_FRAME_INTERVAL if task.propagates else 1,
        'key_frame_policy': test.KEY_FRAME_POLICY,
        'nms': test.NMS,
        'max_per_image': test.max_per_image,
    }
    return dict(
        {key: json.dumps(value) for key, value in values.items()},
        project='Deep Feature Flow',
        task=task.name,
        recognises=task.recognises,
        scale_rule=rule,
    )
