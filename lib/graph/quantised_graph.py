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
from lib.graph.steps import steps

BACKEND = 'MKLDNN_QUANTIZE'
# Ranges are taken so much wider than they were found: later frames go beyond the first, and would
# be cut off.
HEADROOM = 1.5
# Layers whose error says whether they may be int8: which operand is the weight, and the axes of it that a filter
# has for itself.
JUDGED = {'Convolution': (1, (1, 2, 3)), 'DFFPooledScores': (2, (0, 2))}
SETTINGS = {'Convolution': ('num_filter', 'kernel', 'stride', 'dilate', 'pad', 'num_group', 'no_bias'),
            'DFFPooledScores': ('spatial_scale', 'pooled_size', 'outputs', 'first_channel', 'channels')}
WORKSPACE = '_workspace'      # output of a pooling that has no values: memory as it was


def fused(symbol, shapes, arg_params, aux_params, source):
    """Return (fused symbol, arguments as NDArray, symbol before fusion); the outputs are the same.

    See lib.graph.inference_graph.prepared for `symbol`, `shapes`, `arg_params`, `aux_params` and
    `source`, and for what is raised.
    """
    graph, arguments, _ = prepared(symbol, shapes, arg_params, aux_params, source, int8=True)
    # MXNet does so when it binds, and shows the values of one of them alone to who measures ranges.
    graph.merge_equal()
    users = graph.users()
    for node in graph.nodes():
        # What is an output and an input of other layers would be converted back to float twice, which fails.
        if node.op != 'null' and 'head' in users[node] and len(users[node]) > 1:
            copy = Node('_mul_scalar', node.name + '_out', {'scalar': '1.0'}, [(node, 0)])
            graph.heads = [(copy, 0) if entry == (node, 0) else entry for entry in graph.heads]
    graph.number_names(KERNELS + tuple(JUDGED))
    plain = graph.symbol()
    arguments = {
        name: value if isinstance(value, mx.nd.NDArray) else mx.nd.array(value)
        for name, value in arguments.items()
    }
    for node in graph.nodes():
        if node.op == 'Concat' and node.get('dim') == 0:
            # MXNet leaves a Concat of images in float, and writes two lines on the screen about each.
            node.op, node.attributes = '_npi_concatenate', {'num_args': node.attributes['num_args'], 'axis': '0'}
    return graph.symbol().get_backend_symbol(BACKEND), arguments, plain


class Ranges:
    """Smallest and largest value of every tensor of a network, as monitor of an ExecutorPool.

    parameters: names of arguments that never change, which are measured once.
    `found`: {name: (low, high)}.
    """

    def __init__(self, parameters=()):
        self.found, self._parameters, self._shown = {}, frozenset(parameters), None

    def __call__(self, name, handle):
        name = name.decode() if isinstance(name, bytes) else name
        # Before it is read: this owns the handle.
        array = mx.nd.NDArray(ctypes.cast(handle, mx.base.NDArrayHandle), writable=False)
        if name.endswith(WORKSPACE):
            self.found[name] = 0.0, 0.0
            return
        # MXNet shows an argument twice in a row: by its own name, then by that of the input it is, often the same.
        if self._shown is not None:
            self.found[name], self._shown = self.found[self._shown], None
            return
        if name in self._parameters:
            self._shown = name
            if name in self.found:
                return
        values = array.asnumpy()       # NumPy finds both ends many times as fast as MXNet
        low, high = float(values.min()), float(values.max())
        known = self.found.get(name, (low, high))
        self.found[name] = (min(low, known[0]), max(high, known[1]))


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
    excluded = [node.name for node in Graph(symbol).nodes()
                if any(source.name in weights for source, _ in node.inputs)]
    collector = _Found(widened(ranges))
    out, _, _, _ = quantization.quantize_graph(symbol, arguments, {}, mx.cpu(), excluded, [],
                                               'customize', 'auto', 'smart', 'channel-wise',
                                               collector, logger=None)
    out, arguments, _ = quantization.calib_graph(out, arguments, {}, collector, 'customize', 'auto', logger=None)
    return out.get_backend_symbol(BACKEND), arguments


def layer_errors(symbol, arguments, inputs):
    """Return the error of every judged layer's output where it alone is computed in int8.

    Judged are convolutions and the scores of regions. Weights are rounded filter by filter, inputs as a whole. One
    layer runs after the other, so that the memory that it takes is that of the network's values at one place, and of
    one layer's.

    Args:
        symbol: the network before fusion.
        arguments: {name: NDArray} of its parameters.
        inputs: {name: NDArray}.

    Returns:
        {layer: root mean square of the error, relative to that of the output}
    """
    return {node.name: _error(node, operands, outputs[0])
            for node, operands, outputs in steps(symbol, dict(arguments, **inputs)) if node.op in JUDGED}


def _error(node, operands, exact):
    """The relative error of a layer in int8.

    Args:
        node: its Node.
        operands: NDArrays that it reads.
        exact: NDArray that it makes of them in float32.
    """
    place, axes = JUDGED[node.op]
    names = ['operand%d' % number for number in range(len(operands))]
    variables, output = [mx.sym.Variable(name) for name in names], mx.sym.Variable('exact')
    settings = {key: value for key, value in node.attributes.items() if key in SETTINGS[node.op]}
    layer = getattr(mx.sym, node.op)(_round_tensor(variables[0]), *variables[1:], name='int8', **settings)
    error = mx.sym.sqrt(mx.sym.mean(mx.sym.square(layer - output)) / (mx.sym.mean(mx.sym.square(output)) + 1e-20))
    values = dict(zip(names, operands), exact=exact)
    values[names[place]] = mx.nd.array(_rounded_filters(operands[place].asnumpy(), axes))
    return float(error.bind(mx.cpu(), values, grad_req='null').forward()[0].asscalar())


def _round_tensor(symbol):
    """Values rounded to 255 steps, HEADROOM included: from 0 where none is negative, else on both sides of 0."""
    largest = HEADROOM * mx.sym.max(mx.sym.abs(symbol)) + 1e-20
    steps = mx.sym.where(mx.sym.min(symbol) < 0, mx.sym.full((1,), 127.0), mx.sym.full((1,), 255.0))
    scale = mx.sym.Reshape(steps / largest, shape=(1, 1, 1, 1))
    return mx.sym.broadcast_div(mx.sym.round(mx.sym.broadcast_mul(symbol, scale)), scale)


def _rounded_filters(weight, axes):
    """A weight in 255 steps of each filter; axes: those that a filter has for itself."""
    scale = 127.0 / np.maximum(abs(weight).max(axis=axes, keepdims=True), 1e-20)
    return np.round(weight * scale) / scale
