"""Training of one network on images of changing size, on MXNet's public Module interface."""
import logging

import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx

from lib.engine.checkpoint import load_arrays, save_arrays
from lib.engine.executors import ExecutorPool
from lib.train.updater import create_optimizer, create_updater

INITIALIZER = mx.init.Uniform(0.01)      # of BaseModule.init_params


class MutableModule(mx.mod.BaseModule):
    """A module whose inputs may have other shapes in every batch, and on every device.

    `fit`, `score`, `predict` and the rest of BaseModule work as usual. A batch is either a plain mx.io.DataBatch
    (one device), or one whose `data[i]` and `label[i]` are the lists of arrays of device i.

    Args:
        symbol: the network, with its losses.
        data_names, label_names: its inputs, in the order of the batches.
        logger: for messages of `fit`.
        context: mx.Context or a list of them, the CPU by default.
        work_load_list: accepted for the original's callers; every device gets its own images.
        fixed_param_names: parameters that are not trained; no gradient is computed for them.
        max_data_shapes, max_label_shapes: {name: shape} or [(name, shape)], the largest to expect on one device, so
            that memory is planned once. Without them the first shapes bound count; larger ones re-allocate.
    """

    def __init__(self, symbol, data_names, label_names, logger=logging, context=None, work_load_list=None,
                 fixed_param_names=None, max_data_shapes=None, max_label_shapes=None):
        super().__init__(logger)
        self._symbol = symbol
        self._context = list(context) if isinstance(context, (list, tuple)) else [context or mx.cpu()]
        self._data_names, self._label_names = list(data_names), list(label_names or [])
        # A network without its losses takes no labels; batches may bring them all the same.
        self._unused = set(self._label_names) - set(symbol.list_arguments())
        self._fixed = set(fixed_param_names or [])
        self._max_shapes = {**_shapes(max_data_shapes), **_shapes(max_label_shapes)}
        self._pools, self._current = [], []
        self._updater, self._preloaded_states = None, None

    # ---- names and shapes

    @property
    def data_names(self):
        return self._data_names

    @property
    def label_names(self):
        return self._label_names

    @property
    def output_names(self):
        return self._symbol.list_outputs()

    @property
    def data_shapes(self):
        """[(name, shape)] of the inputs bound last on the first device."""
        return self._bound_shapes(self._data_names)

    @property
    def label_shapes(self):
        """[(name, shape)] of the labels bound last on the first device."""
        return self._bound_shapes([name for name in self._label_names if name not in self._unused])

    @property
    def output_shapes(self):
        """[(name, shape)] of the outputs of the first device."""
        assert self.binded
        return [(name, array.shape) for name, array in zip(self.output_names, self._current[0].outputs)]

    def _bound_shapes(self, names):
        assert self.binded
        return [(name, self._current[0].arg_dict[name].shape) for name in names]

    # ---- setting up

    def bind(self, data_shapes, label_shapes=None, for_training=True, inputs_need_grad=False, force_rebind=False,
             shared_module=None, grad_req='write'):
        """Reserve memory. Shapes: [(name, shape)] for one device, or a list of these, one for each device."""
        if shared_module is not None:
            raise ValueError('MutableModule shares memory between shapes by itself; shared_module '
                             'is not for it')
        if self.binded and not force_rebind:
            self.logger.warning('Already bound, ignoring bind()')
            return
        params = self.get_params() if self.params_initialized else None
        requests = self._grad_requests(for_training, inputs_need_grad, grad_req)
        devices = len(self._context)
        data, labels = _per_device(data_shapes, devices), _per_device(label_shapes or [], devices)
        self._pools, self._current = [], []
        for context, data_desc, label_desc in zip(self._context, data, labels):
            shapes = self._with_label_shapes({**_shapes(data_desc), **_shapes(label_desc)})
            largest = {name: self._max_shapes[name] for name in shapes if name in self._max_shapes}
            pool = ExecutorPool(self._symbol, context, largest if len(largest) == len(shapes) else shapes, requests)
            self._pools.append(pool)
            self._current.append(pool.get(shapes))
        self.binded, self.for_training, self.inputs_need_grad = True, for_training, inputs_need_grad
        if params:
            self.set_params(*params)

    def _grad_requests(self, for_training, inputs_need_grad, grad_req):
        """{argument: request}; names left out get no gradient."""
        if not for_training:
            return {}
        inputs = set(self._data_names + self._label_names)
        trained = [name for name in self._symbol.list_arguments() if name not in self._fixed and name not in inputs]
        if not isinstance(grad_req, str):
            raise ValueError('grad_req must be one of write, add, null for all parameters')
        requests = dict.fromkeys(trained, grad_req)
        if inputs_need_grad:
            requests.update(dict.fromkeys(self._data_names, grad_req))
        return requests

    def _with_label_shapes(self, shapes):
        """`shapes` of the labels that the network takes: unused ones removed, those not provided inferred."""
        shapes = {name: shape for name, shape in shapes.items() if name not in self._unused}
        absent = [name for name in self._label_names if name not in shapes and name not in self._unused]
        if absent:
            inferred = dict(zip(self._symbol.list_arguments(), self._symbol.infer_shape(**shapes)[0]))
            shapes.update({name: inferred[name] for name in absent})
        return shapes

    def init_params(self, initializer=INITIALIZER, arg_params=None, aux_params=None, allow_missing=False,
                    force_init=False, allow_extra=False):
        """Set parameters from the dicts, or by `initializer` where there are no dicts, or where `allow_missing`.

        Parameters that the network does not have are ignored whatever `allow_extra` says: checkpoints hold the
        test-time box regression beside the plain one. Raises CheckpointError for missing ones and wrong shapes.
        """
        if self.params_initialized and not force_init:
            return
        assert self.binded, 'call bind before initializing the parameters'
        self._finish_update()
        if initializer is not None:
            if allow_missing or arg_params is None:
                arg_params = self._initialized(initializer, arg_params, self._pools[0].arg_params)
            if allow_missing or aux_params is None:
                aux_params = self._initialized(initializer, aux_params, self._pools[0].aux_params)
        for pool in self._pools:
            pool.set_params(arg_params or {}, aux_params or {}, allow_missing=allow_missing)
        self.params_initialized = True

    def _initialized(self, initializer, given, own):
        """`given` and, from `initializer`, the parameters of `own` that it lacks."""
        attributes = self._symbol.attr_dict()
        values = dict(given or {})
        for name, array in own.items():
            if name not in values:
                values[name] = mx.nd.zeros(array.shape, dtype=array.dtype)
                initializer(mx.init.InitDesc(name, attributes.get(name)), values[name])
        return values

    def get_params(self):
        """({name: NDArray}, {name: NDArray}), copies on the CPU.

        Auxiliary states, such as batch-norm statistics, are averaged over the devices; parameters are the same on all.
        """
        assert self.binded and self.params_initialized
        self._finish_update()
        # Batch norm's backward writes its statistics without telling MXNet's scheduler: reading
        # them alone does not wait.
        mx.nd.waitall()
        first = self._pools[0]
        arg_params = {name: array.copyto(mx.cpu()) for name, array in first.arg_params.items()}
        aux_params = {}
        for name, array in first.aux_params.items():
            total = array.copyto(mx.cpu())
            for pool in self._pools[1:]:
                total += pool.aux_params[name].as_in_context(mx.cpu())
            aux_params[name] = total / len(self._pools) if len(self._pools) > 1 else total
        return arg_params, aux_params

    def init_optimizer(self, kvstore='local', optimizer='sgd', optimizer_params=(('learning_rate', 0.01),),
                       force_init=False):
        """Install the optimizer; see `lib.train.updater` for what is done with its settings and the kvstore."""
        assert self.binded and self.params_initialized
        if self.optimizer_initialized and not force_init:
            return
        self._finish_update()
        optimizer = create_optimizer(optimizer, optimizer_params, self._symbol, self._pools[0].grads)
        self._updater = create_updater(optimizer, self._pools, kvstore)
        self.optimizer_initialized = True
        if self._preloaded_states:
            self._updater.set_states(*self._preloaded_states)
            self._preloaded_states = None

    # ---- computing

    def forward(self, data_batch, is_train=None):
        """Run the network on each device's arrays, whatever their shapes."""
        assert self.binded and self.params_initialized
        is_train = self.for_training if is_train is None else is_train
        devices = len(self._pools)
        data, labels = _per_device(data_batch.data, devices), _per_device(data_batch.label or [], devices)
        self._current = []
        for pool, own_data, own_labels in zip(self._pools, data, labels):
            inputs = dict(zip(self._data_names, own_data))
            inputs.update((name, array)
                          for name, array in zip(self._label_names, own_labels)
                          if name not in self._unused)
            self._current.append(pool.fill(inputs))
        self._finish_update()      # not earlier: copying inputs takes time that the backward pass may still be using
        for executor in self._current:
            executor.forward(is_train=is_train)

    def backward(self, out_grads=None):
        """Compute the gradients of the last forward; `out_grads` are for outputs that are no losses (one device)."""
        assert self.for_training
        for executor in self._current:
            executor.backward(out_grads)

    def update(self):
        """One optimizer step from the gradients summed over the devices."""
        assert self.optimizer_initialized
        self._updater.update()

    def _finish_update(self):
        if self._updater:
            self._updater.finish()

    def get_outputs(self, merge_multi_context=True):
        """Outputs of the last forward, valid until the next one.

        [NDArray], those of several devices joined along axis 0 (ValueError where their sizes differ), or
        [[NDArray of each device]] without `merge_multi_context`.
        """
        return _merge([[executor.outputs[i] for executor in self._current] for i in range(len(self.output_names))],
                      merge_multi_context)

    def get_input_grads(self, merge_multi_context=True):
        """Gradients of the data inputs, as `get_outputs`; for modules bound with `inputs_need_grad`."""
        assert self.inputs_need_grad
        return _merge([[executor.grad_dict[name] for executor in self._current] for name in self._data_names],
                      merge_multi_context)

    def update_metric(self, eval_metric, labels, pre_sliced=False):
        """Feed `eval_metric` with the outputs and labels of each device."""
        for executor, own in zip(self._current, _per_device(labels, len(self._pools))):
            eval_metric.update_dict(dict(zip(self._label_names, own)), dict(zip(self.output_names, executor.outputs)))

    # ---- optimizer states

    @property
    def num_update(self):
        """Optimizer steps made so far, those before a resume included."""
        return self._updater.num_update

    def optimizer_states(self):
        """{name: NDArray}: the optimizer's states (momentum) under their parameters' names."""
        assert self.optimizer_initialized
        return self._updater.states()

    def preload_optimizer_states(self, states, num_update, source='the optimizer states'):
        """Have the next `init_optimizer` (`fit` calls it) continue from these states after `num_update` steps."""
        self._preloaded_states = (states, num_update, source)

    def save_optimizer_states(self, fname):
        """Write the optimizer's states with mx.nd.save, never pickled. The step count is not in this file."""
        save_arrays(fname, self.optimizer_states())

    def load_optimizer_states(self, fname, num_update=0):
        """Read what `save_optimizer_states` wrote and continue after `num_update` steps. Raises CheckpointError."""
        assert self.optimizer_initialized
        self._updater.set_states(load_arrays(fname), num_update, fname)


def _shapes(described):
    """{name: tuple} from {name: shape}, [(name, shape)] or None."""
    pairs = described.items() if hasattr(described, 'items') else described or []
    return {pair[0]: tuple(int(side) for side in pair[1]) for pair in pairs}


def _per_device(values, devices):
    """`values` as one list for each device; a flat list is that of the only device. Raises ValueError."""
    values = values or []
    nested = bool(values) and isinstance(values[0], (list, tuple)) and not (values[0] and isinstance(values[0][0], str))
    lists = list(values) if nested else [values] if values else [[]] * devices
    if len(lists) != devices:
        raise ValueError('%d devices need a list of arrays each, got %d' % (devices, len(lists)))
    return lists


def _merge(per_output, merge_multi_context):
    if not merge_multi_context:
        return per_output
    if any(len({array.shape[1:] for array in arrays}) > 1 for arrays in per_output):
        raise ValueError('the devices worked on images of different sizes: use merge_multi_context=False')
    return [arrays[0] if len(arrays) == 1 else mx.nd.concat(*[array.as_in_context(mx.cpu()) for array in arrays], dim=0)
            for arrays in per_output]
