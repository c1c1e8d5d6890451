"""MutableModule: stock fit with changing sizes, several devices, fixed parameters, checkpoints and resuming."""
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import mxnet as mx
import numpy as np
import pytest

from dff.errors import CheckpointError, ConfigError
from lib.engine.checkpoint import load_arrays, load_params
from lib.train.checkpointer import Checkpointer
from tests.helpers.marks import slow
from tests.helpers.module_tools import BATCHES, CONFIG, Batches, make_module, small_symbol, train

WORKER = str(Path(__file__).parents[1] / 'helpers' / 'module_tools.py')


def values(params):
    return {name: array.asnumpy() for kind in params for name, array in kind.items()}


def assert_same(one, other):
    assert sorted(one) == sorted(other)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def bound(devices=1, symbol=None, params=None, sgd=None, **arguments):
    """A module ready to train, with parameters from a fixed seed, or `params`."""
    mx.random.seed(5)
    np.random.seed(5)
    module = make_module(devices, symbol, **arguments)
    batches = Batches(devices)
    module.bind(batches.provide_data, batches.provide_label)
    module.init_params(mx.init.Xavier(), *(params or (None, None)))
    module.init_optimizer(optimizer_params=sgd or {'learning_rate': 0.1})
    return module


def gradients_by_hand(symbol, params, batch, device):
    """Gradients of one device's arrays by a plain MXNet executor."""
    data, label = batch.data[device][0], batch.label[device][0]
    executor = symbol.simple_bind(mx.cpu(), data=data.shape, label=label.shape)
    executor.copy_params_from(*params)
    executor.forward(is_train=True, data=data, label=label)
    executor.backward()
    return {name: array.asnumpy() for name, array in executor.grad_dict.items()}


def run_worker(*arguments):
    return subprocess.run([sys.executable, WORKER] + [str(argument) for argument in arguments],
                          stderr=subprocess.PIPE, universal_newlines=True)


@pytest.mark.slow
@pytest.mark.parametrize('devices, fixed', [(1, ()), slow(2, ()), (2, ('--fixed', 'conv1_weight', 'conv1_bias'))])
def test_killed_and_resumed_training_gives_the_same_parameters(tmp_path, devices, fixed):
    whole, broken = tmp_path / 'whole', tmp_path / 'broken'
    run = run_worker(whole, devices, 3, *fixed)
    assert run.returncode == 0, run.stderr
    killed = run_worker(broken, devices, 3, '--kill-in', 1, *fixed)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / 'broken-0001.json').exists() and not (tmp_path / 'broken-0002.json').exists()
    resumed = run_worker(broken, devices, 3, '--resume', *fixed)
    assert resumed.returncode == 0, resumed.stderr
    for epoch in (1, 2, 3):
        for kind in ('params', 'states'):
            one, other = (load_arrays('%s-%04d.%s' % (prefix, epoch, kind)) for prefix in (whole, broken))
            assert_same(values([one]), values([other]))


def test_fit_checkpoints_and_goes_on(tmp_path):
    module = train(str(tmp_path / 'model'), 1, 2)
    assert module.num_update == 2 * BATCHES
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        'model-%s.%s' % (number, kind) for number in ('0001-000002', '0001', '0002')
        for kind in ('json', 'params', 'states')]
    first, second = (load_arrays('%s/model-%04d.params' % (tmp_path, epoch)) for epoch in (1, 2))
    assert np.abs(first['arg:conv1_weight'].asnumpy() - second['arg:conv1_weight'].asnumpy()).max() > 0
    assert np.abs(first['aux:bn1_moving_mean'].asnumpy() - second['aux:bn1_moving_mean'].asnumpy()).max() > 0


def test_two_devices_step_along_the_sum_of_their_gradients():
    symbol = small_symbol(dropout=0)
    module = bound(2, symbol, sgd={'learning_rate': 0.1, 'wd': 0.01})
    params = module.get_params()
    batch = Batches(2).batch(0, 2)
    assert batch.data[0][0].shape != batch.data[1][0].shape
    module.forward_backward(batch)
    module.update()
    after = values(module.get_params())
    one, two = (gradients_by_hand(symbol, params, batch, device) for device in (0, 1))
    for name, before in params[0].items():
        rate = 0.2 if name == 'conv2_weight' else 0.1
        decay = 0.01 if name.endswith(('_weight', '_gamma')) else 0
        expected = before.asnumpy() - rate * (one[name] + two[name] + decay * before.asnumpy())
        np.testing.assert_allclose(after[name], expected, rtol=1e-5, atol=1e-6, err_msg=name)
    for pool in module._pools:
        assert_same({name: pool.arg_params[name].asnumpy() for name in params[0]},
                    {name: after[name] for name in params[0]})


@pytest.mark.parametrize('devices', [3])       # the mean of three equal numbers is not always that number
def test_statistics_that_are_stored_stay_to_the_last_bit(devices, tmp_path):
    body = mx.sym.BatchNorm(mx.sym.Variable('data'), use_global_stats=True, name='stored')
    body = mx.sym.BatchNorm(mx.sym.Flatten(mx.sym.Pooling(body, global_pool=True, kernel=(1, 1))), name='learned')
    module = make_module(devices, mx.sym.SoftmaxOutput(
        mx.sym.FullyConnected(body, num_hidden=3, name='fc'), mx.sym.Variable('label'), name='softmax'))
    batch = Batches(devices).batch(0, 0)
    module.bind(batch.provide_data, batch.provide_label)
    stored = mx.nd.array(np.random.RandomState(0).rand(3))
    module.init_params(mx.init.One(), None, {'stored_moving_mean': stored, 'stored_moving_var': stored},
                       allow_missing=True)
    assert (module.get_params()[1]['stored_moving_mean'] == stored).asnumpy().all()
    module.init_optimizer(kvstore='local')
    workers = SimpleNamespace(size=3, rank=0, mean=lambda arrays: {name: 7 + array for name, array in arrays.items()})
    prefix = str(tmp_path / 'net')
    Checkpointer(module, prefix, CONFIG, SimpleNamespace(batches_per_epoch=BATCHES), None, workers).end_epoch(
        0, None, *module.get_params())
    auxs = load_params(prefix, 1)[1]
    assert (auxs['stored_moving_var'] == stored).asnumpy().all()
    assert (auxs['learned_moving_mean'] >= 7).asnumpy().all()


def test_statistics_are_averaged_over_devices():
    module = bound(2)
    module.forward_backward(Batches(2).batch(0, 0))
    mean = module.get_params()[1]['bn1_moving_mean'].asnumpy()
    one, two = (pool.aux_params['bn1_moving_mean'].asnumpy() for pool in module._pools)
    assert np.abs(one - two).max() > 0
    np.testing.assert_allclose(mean, (one + two) / 2, rtol=1e-6)


def test_fixed_parameters_stay_and_take_no_gradient_memory():
    module = bound(fixed_param_names=['conv1_weight', 'bn1_gamma'],
                   sgd={'learning_rate': 0.1, 'wd': 0.1, 'momentum': 0.9})
    before = values(module.get_params()[:1])
    module.forward_backward(Batches(1).batch(0, 0))
    module.update()
    after = values(module.get_params()[:1])
    changed = {name for name in after if not np.array_equal(before[name], after[name])}
    # A bias before batch norm has no effect, hence no gradient.
    assert changed - {'conv1_bias'} == set(after) - {'conv1_weight', 'conv1_bias', 'bn1_gamma'}
    assert not {'conv1_weight', 'bn1_gamma'} & (set(module._pools[0].grads) | set(module.optimizer_states()))


def test_largest_shapes_given_are_bound_once():
    module = make_module(max_data_shapes=[('data', [2, 3, 14, 14])], max_label_shapes={'label': (2,)})
    batches = Batches(1)
    module.bind(batches.provide_data, batches.provide_label)
    pool = module._pools[0]
    largest = pool._largest
    module.init_params()
    for position in range(8):
        module.forward(batches.batch(0, position), is_train=False)
        assert module.data_shapes == [('data', batches.batch(0, position).data[0][0].shape)]
    assert pool._largest is largest


def test_parameters_in_checkpoints_that_the_network_lacks_are_ignored():
    params = bound().get_params()
    extra = dict(params[0], rfcn_bbox_weight_test=mx.nd.zeros((2, 2)))
    assert_same(values(bound(params=(extra, params[1])).get_params()), values(params))


def test_missing_and_misshapen_parameters_are_named():
    args, auxs = bound().get_params()
    without = {name: array for name, array in args.items() if name != 'fc_weight'}
    with pytest.raises(CheckpointError, match='1 of the 10 parameters of the network are missing: fc_weight'):
        bound(params=(without, auxs))
    with pytest.raises(CheckpointError, match=r'parameter fc_weight has shape \(3, 5\), the network needs \(3, 6\)'):
        bound(params=(dict(args, fc_weight=mx.nd.zeros((3, 5))), auxs))
    module = bound()
    module.init_params(mx.init.One(), without, auxs, allow_missing=True, force_init=True)
    assert (module.get_params()[0]['fc_weight'].asnumpy() == 1).all()


def test_optimizer_states_are_named_arrays(tmp_path):
    sgd = {'learning_rate': 0.1, 'momentum': 0.9}
    module = bound(sgd=sgd)
    module.forward_backward(Batches(1).batch(0, 0))
    module.update()
    path = str(tmp_path / 'x.states')
    module.save_optimizer_states(path)
    assert sorted(load_arrays(path)) == sorted(module._pools[0].arg_params)
    other = bound(sgd=sgd)
    other.load_optimizer_states(path, num_update=7)
    assert other.num_update == 7
    assert_same(values([other.optimizer_states()]), values([module.optimizer_states()]))
    with pytest.raises(CheckpointError, match='state of parameter bn1_gamma is missing.*FIXED_PARAMS'):
        fixed = bound(sgd=sgd, fixed_param_names=['bn1_gamma'])
        fixed.save_optimizer_states(path)
        other.load_optimizer_states(path)


def test_adam_states_survive_too():
    module = make_module()
    batches = Batches(1)
    module.bind(batches.provide_data, batches.provide_label)
    module.init_params()
    module.init_optimizer(optimizer='adam')
    module.forward_backward(batches.batch(0, 0))
    module.update()
    states = module.optimizer_states()
    assert 'fc_weight.0' in states and 'fc_weight.1' in states
    module._updater.set_states(states, 1)


def test_plain_batches_predict_and_score():
    module = make_module()
    batches = mx.io.NDArrayIter(np.random.rand(6, 3, 8, 8), {'label': np.zeros(6)}, 2)
    module.bind(batches.provide_data, batches.provide_label)
    module.init_params(mx.init.Xavier())
    assert module.predict(batches).shape == (6, 3)
    assert module.predict(mx.io.NDArrayIter(np.random.rand(6, 3, 9, 8), batch_size=2)).shape == (6, 3)
    assert module.score(batches, 'acc')[0][0] == 'accuracy'
    assert module.output_shapes == [('softmax_output', (2, 3))]
    assert module.label_shapes == [('label', (2,))]


def test_rebinding_keeps_the_parameters():
    module = bound()
    before = values(module.get_params())
    module.bind([('data', (1, 3, 20, 20))], [('label', (1,))], for_training=False, force_rebind=True)
    assert_same(values(module.get_params()), before)
    module.forward(mx.io.DataBatch([mx.nd.zeros((1, 3, 20, 20))]))
    assert module.get_outputs()[0].shape == (1, 3)


def test_input_gradients():
    module = make_module()
    batches = Batches(1)
    module.bind(batches.provide_data, batches.provide_label, inputs_need_grad=True)
    module.init_params(mx.init.Xavier())
    batch = batches.batch(0, 1)
    module.forward_backward(batch)
    gradient, = module.get_input_grads()
    assert gradient.shape == batch.data[0][0].shape and np.abs(gradient.asnumpy()).max() > 0


def test_wrong_uses_say_so():
    with pytest.raises(ValueError, match='2 devices need a list of arrays each, got 1'):
        bound(2).forward(Batches(1).batch(0, 0))
    module = bound()
    with pytest.raises(ConfigError, match='default.kvstore is dist_async: a distributed store is made by'):
        module.init_optimizer(kvstore='dist_async', force_init=True)
    with pytest.raises(ConfigError, match='default.kvstore is dist_sync: a distributed store is made by'):
        module.init_optimizer(kvstore='dist_sync', force_init=True)
