"""Executors of one network on one device, one for each set of input shapes.

An MXNet executor is bound to fixed shapes, while detection feeds images of many sizes. The pool binds an
executor when a new set of shapes comes and keeps the most recently used ones. All of them use the same
parameter, gradient and auxiliary arrays, the same input buffers and, through `shared_exec`, the same
workspace memory, so that a new size costs a bind and next to no memory.
"""
from collections import OrderedDict

import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx
import numpy as np

from lib.engine.param_shapes import check_params


class ExecutorPool:
    """Executors of `symbol` on `ctx`, by input shapes.

    Args:
        symbol: the network.
        ctx: mx.Context.
        max_shapes: {input name: shape}, every input of the network with the largest shape expected. Memory is
            reserved for them at once; larger ones work later and re-allocate. All other arguments are parameters.
        grad_req: 'null' (inference; the CPU then fuses layers), 'write', or {argument name: 'write'|'add'|'null'},
            where names left out, inputs among them, get 'null'. As a plain string it holds for parameters only.
        capacity: executors kept, the least recently used go first.
        monitor: called with (name, NDArray handle) for every tensor of every forward; makes it slow.

    Attribute last_shapes: {input name: shape} of the executor used last.

    The workspace is shared: outputs are valid until the next forward of *any* executor of the pool. Copy what
    must live longer. A pool is not for use from several threads at a time.
    """

    def __init__(self, symbol, ctx, max_shapes, grad_req='null', capacity=16, monitor=None):
        self.symbol, self.ctx, self.capacity, self.monitor = symbol, ctx, capacity, monitor
        self.input_names = list(max_shapes)
        names = symbol.list_arguments()
        unknown = [name for name in self.input_names if name not in names]
        if unknown:
            raise ValueError('not inputs of the network: %s' % ', '.join(unknown))
        if isinstance(grad_req, str):
            grad_req = {name: grad_req for name in names if name not in max_shapes}
        self._grad_req = {name: grad_req.get(name, 'null') for name in names}
        max_shapes = {name: tuple(shape) for name, shape in max_shapes.items()}
        shapes, aux_shapes = self._infer(max_shapes)
        types, aux_types = self._infer_types()
        self._types = types
        self.arg_params = {name: mx.nd.zeros(shapes[name], ctx, types[name])
                           for name in names if name not in max_shapes}
        self.aux_params = {name: mx.nd.zeros(shape, ctx, aux_types[name]) for name, shape in aux_shapes.items()}
        self.grads = {name: mx.nd.zeros(array.shape, ctx, types[name])
                      for name, array in self.arg_params.items() if self._grad_req[name] != 'null'}
        self._executors = OrderedDict()
        self._largest = None
        self._largest_volume = 0
        self._buffers = {}
        self.get(max_shapes)

    def get(self, shapes):
        """The executor for `shapes`, {input name: shape}; bound if it is new. Shapes left out are inferred.

        Its `arg_dict[name]` are the arrays to fill, see `forward`.
        """
        if len(shapes) < len(self.input_names):
            shapes = dict(self._infer(shapes)[0], **shapes)
        key = tuple(tuple(shapes[name]) for name in self.input_names)
        executor = self._executors.get(key)
        if executor is None:
            executor = self._bind(dict(zip(self.input_names, key)))
            self._executors[key] = executor
            if len(self._executors) > self.capacity:
                self._executors.popitem(last=False)
        self._executors.move_to_end(key)
        self.last_shapes = dict(zip(self.input_names, key))
        return executor

    def last_inputs(self):
        """{input name: NDArray}, copies of what the executor used last was given."""
        executor = next(reversed(self._executors.values()))
        return {name: executor.arg_dict[name].copy() for name in self.input_names}

    def fill(self, inputs):
        """The executor for `inputs`, {name: NDArray or NumPy array}, with them copied in.

        Inputs left out, such as labels in testing, hold arbitrary values of the shapes that fit the others.
        """
        executor = self.get({name: value.shape for name, value in inputs.items()})
        for name, value in inputs.items():
            if isinstance(value, mx.nd.NDArray):
                value.copyto(executor.arg_dict[name])      # assignment to [:] takes Python seven times as long
            else:
                executor.arg_dict[name][:] = value
        return executor

    def forward(self, inputs, is_train=False):
        """Run on `inputs`, see `fill`; returns the executor, with its `outputs`."""
        executor = self.fill(inputs)
        executor.forward(is_train=is_train)
        return executor

    def set_params(self, arg_params, aux_params, allow_missing=False, source='the parameters given'):
        """Copy parameters in. Those that the network does not have are ignored.

        This is the way to change them: MXNet's fused layers notice a new convolution weight, but
        not a new batch-norm parameter written into the attribute `arg_params` alone.

        Args:
            arg_params, aux_params: {name: array} of the arguments and the auxiliary states.
            allow_missing: leave those that are not there as they are.
            source: what a message calls their origin, such as a file name.

        Raises:
            CheckpointError: the network needs parameters that are not there, or one has another
                shape.
        """
        own = [(self.arg_params, arg_params), (self.aux_params, aux_params)]
        check_params(
            [({name: array.shape for name, array in mine.items()}, given) for mine, given in own],
            source, allow_missing)
        for mine, given in own:
            for name, array in mine.items():
                if name in given:
                    array[:] = given[name]
                else:
                    array += 0   # a write, by which a fused layer notices that one of its other parameters changed

    def _infer(self, input_shapes):
        """({argument: shape}, {auxiliary state: shape}) for the given input shapes."""
        arg_shapes, _, aux_shapes = self.symbol.infer_shape(**input_shapes)
        return (dict(zip(self.symbol.list_arguments(), arg_shapes)),
                dict(zip(self.symbol.list_auxiliary_states(), aux_shapes)))

    def _infer_types(self):
        """({argument: type}, {auxiliary state: type}); quantised networks hold int8 beside float32."""
        arg_types, _, aux_types = self.symbol.infer_type(**{name: np.float32 for name in self.input_names})
        return (dict(zip(self.symbol.list_arguments(), arg_types)),
                dict(zip(self.symbol.list_auxiliary_states(), aux_types)))

    def _bind(self, input_shapes):
        """A new executor that shares all its memory with the others."""
        shapes, _ = self._infer(input_shapes)
        for name, array in self.arg_params.items():
            if shapes[name] != array.shape:
                raise ValueError('parameter %s would be %s for inputs %s but is %s: the network '
                                 'is bound to one input '
                                 'size' % (name, shapes[name], input_shapes, array.shape))
        volume = sum(int(np.prod(shape)) for shape in input_shapes.values())
        if volume > self._largest_volume:
            # Smaller executors would keep their own workspace beside the new, larger one: let them go.
            self._executors.clear()
            self._largest, self._buffers = None, {}
        arguments, gradients = dict(self.arg_params), dict(self.grads)
        for name, shape in input_shapes.items():
            arguments[name] = self._input(name, shape)
            if self._grad_req[name] != 'null':
                gradients[name] = mx.nd.zeros(shape, self.ctx, self._types[name])
        executor = self.symbol.bind(self.ctx, arguments, gradients, self._grad_req, self.aux_params,
                                    shared_exec=self._largest)
        if self.monitor is not None:
            executor.set_monitor_callback(self.monitor, monitor_all=True)
        if self._largest is None:
            self._largest, self._largest_volume = executor, volume
        return executor

    def _input(self, name, shape):
        """A view of the input's buffer in `shape`; the buffer grows where needed."""
        size = int(np.prod(shape))
        buffer = self._buffers.get(name)
        if buffer is None or buffer.size < size:
            buffer = self._buffers[name] = mx.nd.zeros((size,), self.ctx, self._types[name])
        return buffer[:size].reshape(shape)
