"""The networks of a window of frames (FGFA) as three ONNX models.

The second is run for one frame of the window after the other: dff/runtime/onnx_window.py says how.
"""

import mxnet as mx
import numpy as np

from dff.errors import ExportError
from lib.graph.graph import Graph, Node
from lib.onnx_export.builder import Builder
from lib.onnx_export.converter import convert
from lib.onnx_export.heads import HEADS, image_info
from lib.onnx_export.motion import fetch, grid_of
from lib.onnx_export.proto import Tensor, make_model

EPSILON = 1e-10  # of MXNet's L2Normalization
JOINED = 'aggregated'  # the layer whose output is the joined feature (lib/symbols/aggregation.py)
SUM_CELLS = 'sum_height', 'sum_width'


def window_models(task, instance, symbols, parameters, tensors, texts):
    """Return {'feature': ModelProto, 'pair': ModelProto, 'joined': ModelProto}.

    Args:
        task, instance, parameters: as of lib.onnx_export.networks.network_models.
        symbols: {'feature': symbol, 'flow': symbol, 'window': symbol}, see there.
        tensors: {'image', 'feature', 'embedding': Tensor}.
        texts: metadata.
    """
    parts = {
        'feature': _feature(symbols['feature'], parameters, tensors),
        'pair': _pair(symbols['flow'], parameters, tensors),
        'joined': _joined(task, instance, symbols['window'], parameters, tensors),
    }
    return {
        name: make_model(
            build, '%s_%s' % (task.name, name), inputs, outputs, dict(texts, network=name)
        )
        for name, (build, inputs, outputs) in parts.items()
    }


def _feature(symbol, parameters, tensors):
    build, outputs = Builder(), [tensors['feature'], tensors['embedding']]
    values = convert(Graph(symbol), build, {'data': 'image'}, parameters)
    for value, output in zip(values, outputs):
        build.op('Identity', value, output=output.name)
    return build, [tensors['image']], outputs


def _pair(symbol, parameters, tensors):
    """Eq. 2 to 4 of FGFA, one frame at a time: the softmax over frames is a quotient of two sums."""
    build = Builder()
    names = {'data': 'image', 'data_ref': 'other_image'}
    (flow,) = convert(Graph(symbol), build, names, parameters)
    build.layer = 'pair'
    grid = grid_of(build, flow)
    feature, embedding = (
        fetch(build, name, grid) for name in ('other_feature', 'other_embedding')
    )
    first = build.op('Mul', 'first', embedding)
    query = build.op('Add', 'query_before', first)
    product = build.op('ReduceSum', build.op('Mul', embedding, query), [1], keepdims=1)
    cosine = build.op('Div', product, build.op('Mul', *(_length(build, each) for each in (embedding, query))))
    weight = build.op('Mul', build.op('Exp', cosine), 'count')
    build.op('Identity', query, output='query')
    build.op('Add', 'sum_before', build.op('Mul', feature, weight), output='sum')
    build.op('Add', 'weight_before', weight, output='weight')
    state = _state(tensors)
    inputs = [
        tensors['image'],
        tensors['image']._replace(name='other_image', meaning='image of another frame, or the same'),
        tensors['feature']._replace(name='other_feature', meaning='its feature'),
        tensors['embedding']._replace(name='other_embedding', meaning='its embedding'),
        Tensor('first', np.float32, (1,), '1 for the image itself, which comes first, else 0'),
        Tensor('count', np.float32, (1,), 'how many times the frame is in the window'),
    ] + [
        # Of any height and width, since all begins with a zero.
        each._replace(
            name=each.name + '_before',
            shape=(1, each.name + '_channels', each.name + '_height', each.name + '_width'),
            meaning='of the frame before, at first a zero',
        )
        for each in state
    ]
    return build, inputs, state


def _length(build, value):
    squares = build.op('ReduceSum', build.op('Mul', value, value), [1], keepdims=1)
    return build.op('Sqrt', build.op('Add', squares, EPSILON))


def _state(tensors):
    """Tensors of what `pair` hands on."""
    cells = tuple(tensors['feature'].shape[2:])
    return [
        tensors['embedding']._replace(name='query', meaning='that embeddings are compared with'),
        tensors['feature']._replace(name='sum', meaning='of the features, times their weights'),
        Tensor('weight', np.float32, (1, 1) + cells, 'sum of the weights'),
    ]


def _joined(task, instance, symbol, parameters, tensors):
    build, head, config = Builder(), HEADS[task.recognises], task.config
    graph = Graph(mx.sym.Group(instance.head_outputs(symbol)))
    layer = next((node for node in graph.nodes() if node.name == JOINED), None)
    if layer is None:
        raise ExportError('there is no layer %s, which joins the features, in the network' % JOINED)
    graph.replace(layer, Node('null', JOINED))
    names = {
        JOINED: build.op('Div', 'sum', 'weight'),
        'im_info': image_info(build, 'image', 'scale'),
    }
    found = convert(graph, build, names, parameters)
    inputs = [tensors['image']] + _state(tensors)[1:] + head.inputs
    outputs = head.outputs(config)
    head.append(build, found, {each.name: each.name for each in inputs}, config)
    return build, inputs, outputs
