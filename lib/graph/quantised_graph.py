"""A test network with int8 convolutions, through MXNet's MKLDNN_QUANTIZE.

The network is fused first (convolution, bias, activation, sum), then its convolutions are replaced
by int8 ones, with a scale for each tensor that flows between them, from the range that its values
had on some frames, and one for each filter.
"""
import ctypes

import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx
import numpy as np
from mxnet.contrib import quantization

from lib.graph.inference_graph import KERNELS, prepared
from lib.graph.graph import Graph, Node

BACKEND = 'MKLDNN_QUANTIZE'
# Ranges are taken so much wider than they were found: later frames go beyond the first, and would
# be cut off.
HEADROOM = 1.5


def fused(symbol, shapes, arg_params, aux_params, source):
    """Return (fused symbol, arguments as NDArray, symbol before fusion); the outputs are the same.

    See lib.graph.inference_graph.prepared for `symbol`, `shapes`, `arg_params`, `aux_params` and
    `source`, and for what is raised.
    """
    graph, arguments, _ = prepared(symbol, shapes, arg_params, aux_params, source, int8=True)
    users = graph.users()
    for node in graph.nodes():
        # What is an output and an input of other layers would be converted back to float twice, which fails.
        if node.op != 'null' and 'head' in users[node] and len(users[node]) > 1:
            copy = Node('_mul_scalar', node.name + '_out', {'scalar': '1.0'}, [(node, 0)])
            graph.heads = [(copy, 0) if entry == (node, 0) else entry for entry in graph.heads]
    graph.number_names(KERNELS)
    plain = graph.symbol()
    arguments = {
        name: value if isinstance(value, mx.nd.NDArray) else mx.nd.array(value)
        for name, value in arguments.items()
    }
    return plain.get_backend_symbol(BACKEND), arguments, plain


class Ranges:
    """Smallest and largest value of every tensor of a network, as monitor of an ExecutorPool.

    `found`: {name: (low, high)}.
    """

    def __init__(self):
        self.found = {}

    def __call__(self, name, handle):
        name = name.decode() if isinstance(name, bytes) else name
        array = mx.nd.NDArray(ctypes.cast(handle, mx.base.NDArrayHandle), writable=False)
        low, high = float(array.min().asscalar()), float(array.max().asscalar())
        before = self.found.get(name, (low, high))
        self.found[name] = (min(low, before[0]), max(high, before[1]))


class _Found:
    """Ranges that were measured before, as MXNet takes them."""

    def __init__(self, found):
        self.min_max_dict = found

    def collect(self, name, array):
        raise NotImplementedError('these ranges are complete')


def widened(ranges):
    """Return {tensor: (low, high)} as an int8 network is given them: HEADROOM times `ranges`, as they were found."""
    return {name: (HEADROOM * low, HEADROOM * high) for name, (low, high) in ranges.items()}


def quantised(symbol, arguments, ranges, float_layers):
    """Return (symbol, arguments) of a network with int8 convolutions.

    Args:
        symbol, arguments: of `fused`.
        ranges: {tensor: (low, high)}, the `found` of Ranges.
        float_layers: names of the convolutions that stay in float.
    """
    weights = {layer + '_weight' for layer in float_layers}
    excluded = [node.name for node in Graph(symbol).nodes() if any(source.name in weights for source, _ in node.inputs)
                # Those MXNet leaves out itself, saying so each time.
                or (node.op == 'Concat' and node.get('dim') == 0)]
    collector = _Found(widened(ranges))
    out, _, _, _ = quantization.quantize_graph(symbol, arguments, {}, mx.cpu(), excluded, [],
                                               'customize', 'auto', 'smart', 'channel-wise',
                                               collector, logger=None)
    out, arguments, _ = quantization.calib_graph(out, arguments, {}, collector, 'customize', 'auto', logger=None)
    return out.get_backend_symbol(BACKEND), arguments


def layer_errors(symbol, arguments, inputs):
    """Return the error of every convolution's output where it alone is computed in int8.

    Weights are rounded filter by filter, inputs as a whole.

    Args:
        symbol: the network before fusion.
        arguments: {name: NDArray} of its parameters.
        inputs: {name: NDArray}.

    Returns:
        {convolution: root mean square of the error, relative to that of the output}
    """
    inner, errors, names, rounded = symbol.get_internals(), [], [], {}
    for node in Graph(symbol).nodes():
        if node.op != 'Convolution':
            continue
        source, exact = (inner[name if name in inner.list_outputs() else name + '_output']
                         for name in (node.input(0).name, node.name))
        weight = node.input(1).name + '_int8'
        rounded[weight] = _round_filters(arguments[node.input(1).name])
        settings = {
            key: node.get(key)
            for key in ('num_filter', 'kernel', 'stride', 'dilate', 'pad', 'num_group', 'no_bias')
            if node.get(key) is not None
        }
        operands = [_round_tensor(source), mx.sym.Variable(weight)
                    ] + [inner[entry.name] for entry, _ in node.inputs[2:]]
        difference = mx.sym.Convolution(*operands, name=node.name + '_int8', **settings) - exact
        errors.append(mx.sym.sqrt(mx.sym.mean(mx.sym.square(difference)) / (mx.sym.mean(mx.sym.square(exact)) + 1e-20)))
        names.append(node.name)
    network = mx.sym.Concat(*errors, dim=0)
    values = dict(arguments, **rounded)
    values.update(inputs)
    executor = network.bind(mx.cpu(), {name: values[name] for name in network.list_arguments()}, grad_req='null')
    return dict(zip(names, executor.forward()[0].asnumpy().astype(float).tolist()))


def _round_tensor(symbol):
    """Values rounded to 255 steps, HEADROOM included: from 0 where none is negative, else on both sides of 0."""
    largest = HEADROOM * mx.sym.max(mx.sym.abs(symbol)) + 1e-20
    steps = mx.sym.where(mx.sym.min(symbol) < 0, mx.sym.full((1,), 127.0), mx.sym.full((1,), 255.0))
    scale = mx.sym.Reshape(steps / largest, shape=(1, 1, 1, 1))
    return mx.sym.broadcast_div(mx.sym.round(mx.sym.broadcast_mul(symbol, scale)), scale)


def _round_filters(weight):
    weight = weight.asnumpy()
    scale = 127.0 / np.maximum(abs(weight).max(axis=(1, 2, 3), keepdims=True), 1e-20)
    return mx.nd.array(np.round(weight * scale) / scale)
