"""Training of one network on images of changing size, on MXNet's public Module interface."""
import logging

import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx

from lib.engine.checkpoint import load_arrays, save_arrays
from lib.train.averages import learned_statistics
from lib.train.binding import gradient_requests, mean_on_cpu, merged, per_device, shapes_by_name
from lib.train.frozen_part import training_pool
from lib.train.updater import create_optimizer, create_updater

INITIALIZER = mx.init.Uniform(0.01)      # of BaseModule.init_params


class MutableModule(mx.mod.BaseModule):
    """A module whose inputs may have other shapes in every batch, and on every device.

    It implements MXNet's public interface mx.mod.BaseModule, whose `fit`, `score` and so on work as
    usual. A batch is either a plain mx.io.DataBatch (one device), or one whose `data[i]` and
    `label[i]` are the lists of arrays of device i.

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
        self._fixed, self._learned = set(fixed_param_names or []), learned_statistics(symbol)
        self._max_shapes = {**shapes_by_name(max_data_shapes), **shapes_by_name(max_label_shapes)}
        self._pools, self._current = [], []
        self._updater, self._preloaded_states = None, None

    # ---- names and shapes

    @property
    def data_names(self):
        """Return the names of the inputs, as BaseModule; those of the labels are apart."""
        return self._data_names

    @property
    def label_names(self):
        """Return the names of the labels, those that the network does not take among them."""
        return self._label_names

    @property
    def output_names(self):
        """Return the names of the outputs, as BaseModule."""
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
        return [(name, self._pools[0].last_shapes[name]) for name in names]

    # ---- setting up

    def bind(self, data_shapes, label_shapes=None, for_training=True, inputs_need_grad=False, force_rebind=False,
             shared_module=None, grad_req='write'):
        """Reserve memory, as BaseModule.bind.

        Args:
            data_shapes, label_shapes: [(name, shape)] for one device, or a list of these. Labels may be left out.
            for_training: whether gradients will be computed.
            inputs_need_grad: compute those of the data inputs, too.
            force_rebind: bind again, keeping the parameters, where this is bound already; else a
                second call only warns.
            shared_module: must be None; memory is shared between shapes anyway.
            grad_req: 'write', 'add' or 'null', for all parameters that are trained.

        Raises:
            ValueError: a shared_module, a grad_req by parameter, or another number of devices.
        """
        if shared_module is not None:
            raise ValueError('MutableModule shares memory by itself; shared_module is not for it')
        if self.binded and not force_rebind:
            self.logger.warning('Already bound, ignoring bind()')
            return
        params = self.get_params() if self.params_initialized else None
        untrained = self._fixed.union(self._data_names, self._label_names)
        trained = [name for name in self._symbol.list_arguments() if name not in untrained]
        requests = gradient_requests(trained + self._data_names * inputs_need_grad, grad_req) if for_training else {}
        devices = len(self._context)
        data, labels = per_device(data_shapes, devices), per_device(label_shapes or [], devices)
        self._pools, self._current = [], []
        for context, data_desc, label_desc in zip(self._context, data, labels):
            shapes = self._with_label_shapes({**shapes_by_name(data_desc), **shapes_by_name(label_desc)})
            largest = {name: self._max_shapes[name] for name in shapes if name in self._max_shapes}
            self._pools.append(training_pool(self._symbol, context, largest if len(largest) == len(shapes) else shapes,
                                             requests, self._data_names, self._fixed))
            self._current.append(self._pools[-1].get(shapes))
        self.binded, self.for_training, self.inputs_need_grad = True, for_training, inputs_need_grad
        if params:
            self.set_params(*params)

    def _with_label_shapes(self, shapes):
        """Return `shapes` of the labels that the network takes: unused ones removed, those not provided inferred."""
        shapes = {name: shape for name, shape in shapes.items() if name not in self._unused}
        absent = [name for name in self._label_names if name not in shapes and name not in self._unused]
        if absent:
            inferred = dict(zip(self._symbol.list_arguments(), self._symbol.infer_shape(**shapes)[0]))
            shapes.update({name: inferred[name] for name in absent})
        return shapes

    def init_params(self, initializer=INITIALIZER, arg_params=None, aux_params=None, allow_missing=False,
                    force_init=False, allow_extra=False):
        """Set the parameters, as BaseModule.init_params, where they are not set yet.

        Args:
            initializer: makes all without a dict, with allow_missing what one lacks; None: nothing.
            arg_params, aux_params: {name: NDArray} of arguments and auxiliary states, or None.
            allow_missing: accept dicts that lack parameters.
            force_init: set them again where they are set already.
            allow_extra: without effect; what the network lacks, as the *_test ones, is ignored.

        Raises:
            CheckpointError: parameters are missing, or have another shape.
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
        """({name: NDArray}, {name: NDArray}), copies on the CPU; statistics that are learned as mean of the devices."""
        assert self.binded and self.params_initialized
        self._finish_update()
        # Batch norm's backward writes its statistics without telling MXNet's scheduler: reading
        # them alone does not wait.
        mx.nd.waitall()
        first = self._pools[0]
        arg_params = {name: array.copyto(mx.cpu()) for name, array in first.arg_params.items()}
        aux_params = {name: mean_on_cpu([pool.aux_params[name] for pool in self._pools]) if name in self._learned
                      else array.copyto(mx.cpu()) for name, array in first.aux_params.items()}
        return arg_params, aux_params

    def on_devices(self):
        """[(trained parameters, auxiliary states)] of each device: the arrays themselves."""
        self._finish_update()
        return [({name: pool.arg_params[name] for name in pool.grads}, pool.aux_params)
                for pool in self._pools]

    def init_optimizer(self, kvstore='local', optimizer='sgd', optimizer_params=(('learning_rate', 0.01),),
                       force_init=False):
        """Install the optimizer, as BaseModule.init_optimizer; lib/train/updater.py says how.

        Args:
            kvstore: name or mx.kv.KVStore, which sums the gradients.
            optimizer: name or mx.optimizer.Optimizer.
            optimizer_params: its settings, {name: value} or [(name, value)], where it is a name.
            force_init: install it where there is one already; else a second call does nothing.
        """
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
        data, labels = per_device(data_batch.data, devices), per_device(data_batch.label or [], devices)
        self._current = []
        for pool, own_data, own_labels in zip(self._pools, data, labels):
            labelled = {name: array for name, array in zip(self._label_names, own_labels)
                        if name not in self._unused}
            self._current.append(pool.fill(dict(zip(self._data_names, own_data), **labelled)))
        self._finish_update()      # not earlier: the backward pass may use the time that copying inputs takes
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
        return merged([[executor.outputs[i] for executor in self._current] for i in range(len(self.output_names))],
                      merge_multi_context)

    def get_input_grads(self, merge_multi_context=True):
        """Gradients of the data inputs, as `get_outputs`; for modules bound with `inputs_need_grad`."""
        assert self.inputs_need_grad
        return merged([[executor.grad_dict[name] for executor in self._current] for name in self._data_names],
                      merge_multi_context)

    def update_metric(self, eval_metric, labels, pre_sliced=False):
        """Feed a metric with outputs and labels, as BaseModule.update_metric.

        Args:
            eval_metric: mx.metric.EvalMetric.
            labels: those of the batch, [NDArray] for one device or the lists of several.
            pre_sliced: without effect; labels of several devices always come as lists.
        """
        for executor, own in zip(self._current, per_device(labels, len(self._pools))):
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
        """Have the next `init_optimizer` (`fit` calls it) continue from an earlier run.

        Args:
            states: {name: NDArray}, see `optimizer_states`.
            num_update: steps made so far.
            source: what a message calls the origin of the states, such as a file name.
        """
        self._preloaded_states = (states, num_update, source)

    def save_optimizer_states(self, fname):
        """Write the optimizer's states with mx.nd.save, never pickled. The step count is not in this file."""
        save_arrays(fname, self.optimizer_states())

    def load_optimizer_states(self, fname, num_update=0):
        """Read what `save_optimizer_states` wrote and continue after `num_update` steps. Raises CheckpointError."""
        assert self.optimizer_initialized
        self._updater.set_states(load_arrays(fname), num_update, fname)
