"""How long a layer takes here by oneDNN and by the native operator, between two layers of oneDNN.

oneDNN keeps maps in blocks of channels, a native operator reads and writes plain ones: what it costs
to move from the one to the other belongs to its time. So the layer stands between two convolutions of
1x1 that scale each channel, which cost little more than that.
"""
import time

import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx

from lib.graph.graph import Graph, Node

ROUNDS = 5, 15   # where the rule's choice is the faster one, and where it is not: noise must not decide
CLEAR = 1.3      # times as long as the other: one round decides, if the rule expects that
LARGEST = 1e10   # multiply-adds: of a layer that has more, a part of its input channels is measured
VALUE = 0.01     # of all inputs: neither zero nor so small that products become denormal


def milliseconds(layer):
    """Return {'onednn': ms, 'native': ms} of a lib.graph.native_layers.NativeLayer: least of some forwards in turn."""
    executors = {'onednn': _bound(layer, _by_onednn), 'native': _bound(layer, _by_native)}
    expected, other = ('native', 'onednn') if layer.by_rule() else ('onednn', 'native')
    least = dict.fromkeys(executors, float('inf'))
    for count in range(ROUNDS[1] + 1):
        for name, executor in executors.items():
            start = time.perf_counter()
            executor.forward(is_train=False)
            mx.nd.waitall()
            if count:      # the first one prepares weights
                least[name] = min(least[name], 1e3 * (time.perf_counter() - start))
        enough = count >= ROUNDS[0] and least[expected] <= least[other]
        if enough or (count and CLEAR * least[expected] < least[other]):
            break
    return least


def _channels(layer):
    """How many of its input channels are measured: both algorithms' products are proportional to them."""
    return max(1, int(layer.shape[1] * min(1, LARGEST / layer.multiply_adds())))


def _bound(layer, make):
    """An executor of the layer as make(layer, its input) builds it, all of whose inputs are VALUE."""
    channels = _channels(layer)
    before = _scaling('before', channels, Node('null', 'data'))
    symbol = Graph.ending_in(_scaling('after', layer.settings['num_filter'], make(layer, before))).symbol()
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


def _by_native(layer, source):
    shapes = {'weight': layer.weight_shape(_channels(layer)), 'bias': (layer.settings['num_filter'],)}
    inputs = [(source, 0)] + [(Node('null', name, {'__shape__': str(shape)}), 0) for name, shape in shapes.items()]
    return Node(layer.operator, 'layer', layer.attributes(), inputs)
