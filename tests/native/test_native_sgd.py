"""The optimizer's step by the native library against MXNet's own, to the last bit."""
from types import SimpleNamespace

import mxnet as mx
import numpy as np
import pytest

from lib.operator_cxx import loader
from lib.train import native_sgd
from tests.helpers.module_tools import BATCHES, Batches, make_module

pytestmark = pytest.mark.skipif(loader.c_library() is None, reason='the native library is not built')
SHAPES = [(3,), (5, 7, 3, 3), (130, 1), (1,), (300, 2001)]      # enough for several threads


def arrays(seed):
    rng = np.random.RandomState(seed)
    return [mx.nd.array(rng.randn(*shape)) for shape in SHAPES]


@pytest.mark.parametrize('settings',
                         [{}, {'clip_gradient': 0.5}, {'rescale_grad': 0.3, 'clip_gradient': 0.2, 'wd': 0.1}])
def test_steps_are_those_of_mxnet(settings):
    settings = dict({'learning_rate': 0.013, 'momentum': 0.9, 'wd': 0.0005,
                     'param_idx2name': {0: 'a_weight', 1: 'b_weight', 2: 'c_bias', 3: 'd_gamma'}}, **settings)
    ours, theirs = mx.optimizer.SGD(**settings), mx.optimizer.SGD(**settings)
    for optimizer in (ours, theirs):
        optimizer.set_lr_mult({'b_weight': 2.0})
    weights, states = arrays(0), arrays(1)
    other_weights, other_states = arrays(0), arrays(1)
    for number in range(3):
        gradients = arrays(2 + number)
        mx.nd.waitall()
        native_sgd.MomentumStep(ours, weights, gradients, states)()
        for index, arguments in enumerate(zip(other_weights, gradients, other_states)):
            theirs.update_multi_precision(index, *arguments)
    for one, other in zip(weights + states, other_weights + other_states):
        np.testing.assert_array_equal(one.asnumpy(), other.asnumpy())
    assert ours.num_update == theirs.num_update == 3


def test_a_gradient_that_is_not_a_number_shows():
    weight, state = mx.nd.ones(4), mx.nd.zeros(4)
    gradient = mx.nd.array([0, np.nan, np.inf, -np.inf])
    mx.nd.waitall()
    native_sgd.MomentumStep(mx.optimizer.SGD(learning_rate=1, momentum=0.9, clip_gradient=2), [weight], [gradient],
                            [state])()
    np.testing.assert_array_equal(weight.asnumpy(), [1, np.nan, -1, 3])


@pytest.mark.parametrize('optimizer',
                         [mx.optimizer.SGD(momentum=0), mx.optimizer.SGD(momentum=0.9, multi_precision=True),
                          mx.optimizer.NAG(momentum=0.9), mx.optimizer.Adam()])
def test_other_optimizers_and_types_are_left_to_mxnet(optimizer):
    gradients, plain = [mx.nd.zeros(3, mx.cpu(1)), mx.nd.zeros(3)], mx.optimizer.SGD(momentum=0.9)
    assert native_sgd.suits(plain, gradients)
    assert not native_sgd.suits(optimizer, gradients)
    assert not native_sgd.suits(plain, gradients + [mx.nd.zeros(3, dtype='float64')])
    assert not native_sgd.suits(plain, [SimpleNamespace(context=mx.gpu(), dtype=np.float32)])


def test_training_is_that_of_mxnet_to_the_last_bit(monkeypatch):
    params = []
    for native in (True, False):
        if not native:
            monkeypatch.setattr(native_sgd, 'suits', lambda optimizer, gradients: False)
        mx.random.seed(5)
        module = make_module(2)
        module.fit(Batches(2), num_epoch=2, initializer=mx.init.Xavier(), eval_metric='ce',
                   optimizer_params={'learning_rate': 0.1, 'momentum': 0.9, 'wd': 0.01})
        params.append({name: array.asnumpy() for part in module.get_params() + (module.optimizer_states(),)
                       for name, array in part.items()})
        assert module.num_update == 2 * BATCHES
    for name, array in params[0].items():
        np.testing.assert_array_equal(array, params[1][name], err_msg=name)


@pytest.mark.parametrize('read', [lambda module: module.get_params(), lambda module: (module.optimizer_states(),)])
def test_a_step_is_made_before_what_it_changes_is_read(read):
    module, batches = make_module(1), Batches(1)
    module.bind(batches.provide_data, batches.provide_label)
    module.init_params(mx.init.Xavier())
    module.init_optimizer(optimizer_params={'learning_rate': 0.1, 'momentum': 0.9})
    before = {name: array.asnumpy() for part in read(module) for name, array in part.items()}
    module.forward_backward(next(batches))
    module.update()
    after = {name: array.asnumpy() for part in read(module) for name, array in part.items()}
    assert not np.array_equal(after['fc_weight'], before['fc_weight'])
    again = {name: array.asnumpy() for part in read(module) for name, array in part.items()}
    np.testing.assert_array_equal(after['fc_weight'], again['fc_weight'])


def wide_symbol():
    """Layers that oneDNN keeps weights of in an order of its own, at least in inference."""
    body = mx.sym.Variable('data')
    for number in range(3):
        body = mx.sym.Convolution(body, num_filter=32, kernel=(3, 3), pad=(1, 1), name='conv%d' % number)
    body = mx.sym.Pooling(body, global_pool=True, kernel=(1, 1), pool_type='avg', name='pool')
    body = mx.sym.FullyConnected(body, num_hidden=32, name='fc1')
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(body, num_hidden=3, name='fc2'), mx.sym.Variable('label'),
                                name='softmax')


def test_outputs_between_steps_are_those_of_the_new_weights():
    module, batches = make_module(1, wide_symbol()), Batches(1)
    module.bind(batches.provide_data, batches.provide_label)
    mx.random.seed(5)
    module.init_params(mx.init.Xavier())
    module.init_optimizer(optimizer_params={'learning_rate': 0.5, 'momentum': 0.9})
    batch = next(batches)
    for _ in range(3):
        module.forward(batch, is_train=False)
        before = module.get_outputs()[0].asnumpy()
        module.forward(batch)
        module.backward()
        module.update()
        module.forward(batch, is_train=False)
        outputs = module.get_outputs()[0].asnumpy()
        fresh = make_module(1, wide_symbol())
        fresh.bind(batches.provide_data, batches.provide_label)
        fresh.init_params(None, *module.get_params())
        fresh.forward(batch, is_train=False)
        np.testing.assert_array_equal(outputs, fresh.get_outputs()[0].asnumpy())
        assert not np.array_equal(outputs, before)
