"""The frozen beginning of a network in training, computed as in tests: without what only a backward pass needs.

On the CPU MXNet fuses no layers of an executor that trains, and reorders the weights of its convolutions at every step.
The layers before the first that is trained need neither, and their parameters never change.
"""
from collections import namedtuple

import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx
import numpy as np

from lib.engine.executors import ExecutorPool
from lib.engine.param_shapes import check_params
from lib.graph.graph import Graph, Node, array_of, output_shapes
from lib.graph.inference_graph import for_inference

# Operators that compute the same in training and in tests; BatchNorm and LeakyReLU with some settings alone.
STEADY = {'Activation', 'BatchNorm', 'BlockGrad', 'Concat', 'Convolution', 'Correlation', 'DFFCorrelation',
          'DFFImagePair', 'Deconvolution', 'Flatten', 'FullyConnected', 'LeakyReLU', 'Pad', 'Pooling', 'Reshape',
          'UpSampling', '_copy', '_div_scalar', '_minus_scalar', '_mul_scalar', '_plus_scalar', 'broadcast_mul', 'clip',
          'elemwise_add', 'elemwise_mul', 'slice_axis', 'slice_like', 'stack'}

# Of the multiply-adds of a forward pass, what a frozen part has at least to be computed apart. A whole backbone has
# 0.7 to 0.9; conv1 and stage 2 of ResNet-101, with 0.05, gained nothing.
SMALLEST_SHARE = 0.25

# frozen: symbol of the frozen part; trained: of all else; names: inputs of `trained`, the outputs of `frozen` in order.
Parts = namedtuple('Parts', 'frozen trained names')


def training_pool(symbol, ctx, max_shapes, grad_req, data_names, fixed):
    """Return a SplitPool of a network in training where a large part of it is frozen, on the CPU; else an ExecutorPool.

    Args:
        symbol, ctx, max_shapes, grad_req: as of ExecutorPool, grad_req by name.
        data_names: inputs other than labels.
        fixed: names of the parameters that never change.
    """
    if ctx.device_type == 'cpu' and grad_req:
        parts = split(symbol, [name for name in data_names if name not in grad_req], fixed)
        if parts and _work(parts.frozen, max_shapes) >= SMALLEST_SHARE * _work(symbol, max_shapes):
            return SplitPool(symbol, parts, ctx, max_shapes, grad_req)
    return ExecutorPool(symbol, ctx, max_shapes, grad_req)


def _work(symbol, shapes):
    """Multiply-adds of the convolutions; shapes: {input name: shape}, also of inputs that `symbol` does not have."""
    graph, names = Graph(symbol), symbol.list_arguments()
    sizes = output_shapes(graph.symbol(), {name: shape for name, shape in shapes.items() if name in names})
    return sum(int(np.prod(sizes[node.name])) * sizes[node.input(0).name][1] * int(np.prod(node.get('kernel')))
               // node.get('num_group', 1) for node in graph.nodes() if node.op == 'Convolution')


def split(symbol, inputs, fixed):
    """Return the Parts of `symbol`, or None where no convolution comes before all that is trained.

    Args:
        symbol: the network.
        inputs: names of inputs that need no gradient.
        fixed: names of the parameters that never change.
    """
    graph = Graph(symbol)
    users, statistics = graph.users(), symbol.list_auxiliary_states()
    constant, frozen, outputs = set(), set(), {}
    for node in graph.nodes():
        sources = [source for source, _ in node.inputs]
        if node.op == 'null':
            # Folding changes a parameter for the one layer that reads it.
            is_own = (node.name in fixed or node.name in statistics) and len(users[node]) == 1
            is_constant = node.name in inputs or is_own
        else:
            is_constant = bool(sources) and _is_steady(node) and constant.issuperset(sources)
        if is_constant:
            constant.add(node)
            if node.op == 'Convolution' or not frozen.isdisjoint(sources):
                frozen.add(node)
    read = [entry for node in graph.nodes() if node not in frozen for entry in node.inputs] + graph.heads
    for node, index in read:
        if node in frozen:
            outputs[node, index] = Node('null', '%s_frozen%d' % (node.name, index))
    if not outputs:
        return None
    heads, graph.heads = graph.heads, list(outputs)
    beginning = graph.symbol()
    graph.heads = heads
    for node in graph.nodes():
        if node not in frozen:
            node.inputs = [_replaced(entry, outputs) for entry in node.inputs]
    graph.heads = [_replaced(entry, outputs) for entry in heads]
    return Parts(beginning, graph.symbol(), [variable.name for variable in outputs.values()])


def _replaced(entry, outputs):
    """What a layer of the trained part reads for an entry (node, number of its output)."""
    return (outputs[entry], 0) if entry in outputs else entry


def _is_steady(node):
    if node.op == 'BatchNorm':
        return str(node.get('use_global_stats', False)) in ('True', '1')
    return node.op in STEADY and node.get('act_type') != 'rrelu'


class SplitPool:
    """An ExecutorPool of a network in training whose frozen part has executors of its own; for the CPU.

    Args:
        symbol: the network.
        parts: its Parts.
        ctx, max_shapes, grad_req: as of ExecutorPool.

    Attributes: parts, and as of ExecutorPool ctx, arg_params, aux_params, grads, last_shapes. The executors that it
    gives are those of the trained part. A frozen parameter that is written into the arrays alone has no effect: see
    set_params.
    """

    def __init__(self, symbol, parts, ctx, max_shapes, grad_req):
        self.ctx, self.parts, self._max_shapes = ctx, parts, max_shapes
        names = parts.frozen.list_arguments()
        self._inputs = [name for name in max_shapes if name in names]
        self._trained = ExecutorPool(parts.trained, ctx, self._inner_shapes(max_shapes), grad_req)
        self.grads = self._trained.grads
        shapes, _, aux_shapes = parts.frozen.infer_shape(**self._own(max_shapes))
        self._kept = [{name: mx.nd.zeros(shape, ctx) for name, shape in zip(names, shapes) if name not in max_shapes},
                      {name: mx.nd.zeros(shape, ctx)
                       for name, shape in zip(parts.frozen.list_auxiliary_states(), aux_shapes)}]
        arguments = dict(self._kept[0], **self._trained.arg_params)
        statistics = dict(self._kept[1], **self._trained.aux_params)
        self.arg_params = {name: arguments[name] for name in symbol.list_arguments() if name not in max_shapes}
        self.aux_params = {name: statistics[name] for name in symbol.list_auxiliary_states()}
        self._frozen = None

    def get(self, shapes):
        """The executor of the trained part for `shapes`, {input name: shape} of the whole network."""
        executor = self._trained.get(self._inner_shapes(shapes))
        self.last_shapes = {**self._trained.last_shapes, **shapes}
        return executor

    def fill(self, inputs):
        """The executor of the trained part, with the frozen part computed from `inputs`; as of ExecutorPool."""
        if self._frozen is None:
            self._frozen = self._bound()
        features = self._frozen.forward(self._own(inputs)).outputs
        rest = {name: value for name, value in inputs.items() if name in self._trained.input_names}
        executor = self._trained.fill(dict(rest, **dict(zip(self.parts.names, features))))
        self.last_shapes = {**self._trained.last_shapes, **{name: value.shape for name, value in inputs.items()}}
        return executor

    def set_params(self, arg_params, aux_params, allow_missing=False, source='the parameters given'):
        """Copy parameters in.

        arg_params, aux_params, allow_missing, source: as of ExecutorPool.set_params; so is what it raises.
        """
        given = arg_params, aux_params
        own = self.arg_params, self.aux_params
        check_params([({name: array.shape for name, array in mine.items()}, values)
                      for mine, values in zip(own, given)], source, allow_missing)
        self._trained.set_params(*given, allow_missing=True)
        for kept, values in zip(self._kept, given):
            for name, array in kept.items():
                # `fit` sets what it got at every end of an epoch: the frozen part stays as it is then.
                if name in values and not np.array_equal(array.asnumpy(), array_of(values, name)):
                    array[:] = values[name]
                    self._frozen = None

    def _own(self, by_input):
        """What is for the inputs of the frozen part, of {input name: anything}."""
        return {name: by_input[name] for name in self._inputs}

    def _inner_shapes(self, shapes):
        """{input of the trained part: shape}, from those of the whole network."""
        names = set(self.parts.trained.list_arguments())
        features = self.parts.frozen.infer_shape(**self._own(shapes))[1]
        return dict({name: shape for name, shape in shapes.items() if name in names},
                    **dict(zip(self.parts.names, features)))

    def _bound(self):
        """An ExecutorPool of the frozen part with its parameters, folded."""
        shapes = self._own(self._max_shapes)
        symbol, *params = for_inference(self.parts.frozen, shapes, *self._kept)
        # Not on self.ctx: MXNet fuses layers on the first CPU device alone, and results would depend on the device.
        pool = ExecutorPool(symbol, mx.cpu(), shapes)
        pool.set_params(*params)
        return pool
