"""How long a layer takes here in each way there is to compute it, between two layers of oneDNN.

oneDNN keeps maps in blocks of channels, a native operator reads and writes plain ones: what it costs
to move from the one to the other belongs to its time. So the layer stands between two convolutions of
1x1 that scale each channel, which cost little more than that.
"""
import time

import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx

from lib.graph.graph import Graph, Node
from lib.graph.native_layers import ONEDNN

ROUNDS = 4, 8    # where the rule's choice is the fastest one, and where it is not: noise must not decide
CLEAR = 1.3      # times as long as the fastest: one round decides, if the rule expects that
LARGEST = 1e10   # multiply-adds: of a layer that has more, a part of its input channels is measured
VALUE = 0.01     # of all inputs: neither zero nor so small that products become denormal


def milliseconds(layer):
    """Return {way: ms} of a lib.graph.native_layers.Layer: the least of some forwards in turn."""
    executors = {way: _bound(layer, way) for way in layer.ways}
    expected, least = layer.by_rule(), dict.fromkeys(layer.ways, float('inf'))
    for count in range(ROUNDS[1] + 1):
        for way, executor in executors.items():
            start = time.perf_counter()
            executor.forward(is_train=False)
            mx.nd.waitall()
            if count:      # the first one prepares weights
                least[way] = min(least[way], 1e3 * (time.perf_counter() - start))
        others = min(least[way] for way in layer.ways if way != expected)
        if count and least[expected] <= others / (1 if count >= ROUNDS[0] else CLEAR):
            break
    return least


def _channels(layer):
    """How many of its input channels are measured: the products of all ways are proportional to them."""
    return max(1, int(layer.shape[1] * min(1, LARGEST / layer.multiply_adds())))


def _bound(layer, way):
    """An executor of the layer computed in this way, all of whose inputs are VALUE."""
    channels = _channels(layer)
    before = _scaling('before', channels, Node('null', 'data'))
    own = _by_onednn(layer, before) if way == ONEDNN else _by_native(layer, way, channels, before)
    symbol = Graph.ending_in(_scaling('after', layer.filters, own)).symbol()
    shapes, _, _ = symbol.infer_shape(data=layer.shape[:1] + (channels,) + layer.shape[2:])
    arguments = {name: mx.nd.full(shape, VALUE) for name, shape in zip(symbol.list_arguments(), shapes)}
    return symbol.bind(mx.cpu(), arguments, grad_req='null')


def _scaling(name, channels, source):
    attributes = {'kernel': '(1, 1)', 'num_filter': str(channels), 'num_group': str(channels), 'no_bias': 'True'}
    return Node('Convolution', name, attributes, [(source, 0), (Node('null', name + '_weight'), 0)])


def _by_onednn(layer, source):
    inputs = [(source, 0)] + [(Node('null', name), 0) for name in ('weight', 'bias')]
    node = Node(layer.node.op, 'layer', dict(layer.node.attributes, no_bias='False'), inputs)
    if layer.follower is None:
        return node
    return Node(layer.follower.op, 'follower', layer.follower.attributes, [(node, 0)])


def _by_native(layer, way, channels, source):
    operator, attributes = layer.operator(way)
    shapes = {'weight': layer.weight_shape(way, channels), 'bias': (layer.filters,)}
    inputs = [(source, 0)] + [(Node('null', name, {'__shape__': str(shape)}), 0) for name, shape in shapes.items()]
    return Node(operator, 'layer', attributes, inputs)
