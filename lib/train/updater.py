"""The optimizer's step on every device, from gradients summed over devices and workers, and its asynchronous kind."""
import copy
import functools

import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx

from lib.train import native_sgd
from dff.errors import CheckpointError, ConfigError


def create_updater(optimizer, pools, kvstore):
    """Return the AsyncUpdater for a kvstore with `async` in its name, else a DeviceUpdater.

    See DeviceUpdater for `optimizer`, `pools` and `kvstore`.
    """
    kind = kvstore.type if isinstance(kvstore, mx.kv.KVStore) else kvstore or ''
    return (AsyncUpdater if 'async' in kind else DeviceUpdater)(optimizer, pools, kvstore)


def create_optimizer(optimizer, optimizer_params, symbol, param_names):
    """Return an mx.optimizer.Optimizer; rescale_grad stays 1 unless it is set.

    Multipliers of learning rate and weight decay are those of the symbol's `lr_mult` and `wd_mult`
    attributes and of MXNet's naming rule (no decay except for *_weight and *_gamma).

    Args:
        optimizer: its name, or a ready one, which is returned as it is.
        optimizer_params: its settings, {name: value} or [(name, value)].
        symbol: the network.
        param_names: of the parameters that are trained, in the order of their updates.
    """
    index_to_name = dict(enumerate(param_names))
    if isinstance(optimizer, mx.optimizer.Optimizer):
        if not optimizer.idx2name:
            optimizer.idx2name = index_to_name
        return optimizer
    params = dict(optimizer_params)
    if params.get('lr_scheduler') is not None and 'learning_rate' in params:
        params['lr_scheduler'].base_lr = params['learning_rate']
    return mx.optimizer.create(optimizer, sym=symbol, param_idx2name=index_to_name, **params)


class DeviceUpdater:
    """Sums gradients over the devices and lets each device make the same optimizer step.

    The kvstore only sums: the optimizer and its states stay in this process, as named arrays that can be saved.

    Where lib.train.native_sgd serves, a step is made when its result is asked for (`finish`):
    until then Python has the time of the backward pass for metrics and the next batch.

    Args:
        optimizer: mx.optimizer.Optimizer; further devices get copies of it.
        pools: an ExecutorPool for each device; parameters with gradients are updated.
        kvstore: name ('local', 'device'), unused by one device alone, or a KVStore. Workers of a
            distributed store start from the parameters of worker 0.
    """

    def __init__(self, optimizer, pools, kvstore):
        self.pools = pools
        self.names = list(pools[0].grads)
        self.kvstore = self._create_kvstore(kvstore)
        self.optimizers = [optimizer] + [copy.deepcopy(optimizer) for _ in pools[1:]]
        self._states = [[optimizer.create_state_multi_precision(index, pool.arg_params[name])
                         for index, name in enumerate(self.names)] for pool in pools]
        self._native = all(native_sgd.suits(optimizer, pool.grads.values()) for pool in pools)
        self._steps = [self._step(device) for device in range(len(pools))]
        self._due = False
        if self.kvstore:
            self._share_parameters(self.kvstore)

    def _share_parameters(self, kvstore):
        for name in self.names:
            kvstore.init(name, self.pools[0].arg_params[name])
            kvstore.pull(name, [pool.arg_params[name] for pool in self.pools])

    def _create_kvstore(self, kvstore):
        if isinstance(kvstore, mx.kv.KVStore):
            return kvstore
        if 'dist' in (kvstore or ''):
            raise ConfigError(
                'default.kvstore is %s: a distributed store is made by '
                'lib.engine.distributed.connect, before training'
                % kvstore)
        return mx.kv.create(kvstore) if kvstore and len(self.pools) > 1 else None

    @property
    def num_update(self):
        """Steps made so far, those before a resume included."""
        self.finish()
        return self.optimizers[0].num_update

    def update(self):
        """Sum the gradients and make one step on each device, at the latest in `finish`."""
        self.finish()
        if self.kvstore:
            for index, name in enumerate(self.names):
                gradients = [pool.grads[name] for pool in self.pools]
                # The first layers are needed first by the next forward.
                self.kvstore.push(name, gradients, priority=-index)
                self.kvstore.pull(name, gradients, priority=-index)
        self._due = True
        if not self._native:
            self.finish()

    def finish(self):
        """Make the step that is due, if any. To be called before parameters are read or used."""
        if not self._due:
            return
        self._due = False
        if self._native:
            mx.nd.waitall()
        for step in self._steps:
            step()

    def _step(self, device):
        """A function without arguments that makes the step on the device of this number."""
        optimizer, pool, states = self.optimizers[device], self.pools[device], self._states[device]
        weights, gradients = ([arrays[name] for name in self.names] for arrays in (pool.arg_params, pool.grads))
        if self._native:
            return native_sgd.MomentumStep(optimizer, weights, gradients, states)
        return functools.partial(_step, optimizer, pool.ctx, weights, gradients, states)

    def states(self):
        """{name: NDArray on the CPU}: the optimizer's states (momentum) under their parameters' names."""
        self.finish()
        return {key: array.copyto(mx.cpu()) for name, state in zip(self.names, self._states[0])
                for key, array in _leaves(name, state)}

    def set_states(self, states, num_update, source='the optimizer states'):
        """Continue from `states` (see `states()`) after `num_update` steps.

        Raises CheckpointError, naming `source`, where they do not fit the parameters that are trained.
        """
        self.finish()
        for device in self._states:
            for name, state in zip(self.names, device):
                for key, array in _leaves(name, state):
                    if key not in states or states[key].shape != array.shape:
                        raise CheckpointError(
                            '%s: the state of parameter %s is %s; the parameters that are trained '
                            '(FIXED_PARAMS), or their shapes, differ from those of the run that '
                            'wrote it' % (
                                source, key, 'of shape %s instead of %s' % (states[key].shape, array.shape)
                                if key in states else 'missing'))
                    array[:] = states[key]
        for optimizer in self.optimizers:
            optimizer.begin_num_update = optimizer.num_update = num_update


class AsyncUpdater(DeviceUpdater):
    """Adds this worker's own steps to the parameters in the servers, and takes up what the others have added meanwhile.

    Momentum stays in the worker, where a checkpoint can hold it. Steps of N workers add up as
    gradients do in `dist_sync`; so that their weight decay does not, each decays by an N-th.

    Args: optimizer, pools as DeviceUpdater; kvstore: the store of lib.engine.distributed.connect('dist_async').
    """

    def __init__(self, optimizer, pools, kvstore):
        self._servers = self._create_kvstore(kvstore)
        optimizer.wd /= kvstore.num_workers
        super().__init__(optimizer, pools, 'device')
        self._share_parameters(self._servers)

    def update(self):
        """Make one step, send it to the servers and read their parameters."""
        params = self.pools[0].arg_params
        before = [params[name].copy() for name in self.names]
        super().update()
        self.finish()
        for index, (name, old) in enumerate(zip(self.names, before)):
            self._servers.push(name, params[name] - old, priority=-index)
            self._servers.pull(name, [pool.arg_params[name] for pool in self.pools], priority=-index)


def _step(optimizer, context, weights, gradients, states):
    """The optimizer's step by MXNet's operators."""
    # One kernel for several parameters saves launches on a GPU; on the CPU it is 5 to 12 times
    # slower than one for each.
    group = max(1, optimizer.aggregate_num) if context.device_type == 'gpu' else 1
    for start in range(0, len(weights), group):
        part = slice(start, start + group)
        arguments = list(range(len(weights)))[part], weights[part], gradients[part], states[part]
        if group == 1:
            arguments = [values[0] for values in arguments]
        optimizer.update_multi_precision(*arguments)


def _leaves(name, state):
    """(key, NDArray) of a state, which is None, an array, or nested tuples of them."""
    if isinstance(state, mx.nd.NDArray):
        yield name, state
    elif state is not None:
        for index, part in enumerate(state):
            yield from _leaves('%s.%d' % (name, index), part)
