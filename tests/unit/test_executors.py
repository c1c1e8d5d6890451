"""ExecutorPool: one set of arrays behind executors of many shapes."""
import mxnet as mx
import numpy as np
import pytest

from dff.errors import CheckpointError
from lib.engine.executors import ExecutorPool

SIZES = [(24, 40), (40, 24), (16, 16), (32, 20), (8, 12)]


def convolutions(layers=4, channels=8):
    body = mx.sym.Variable('data')
    for index in range(layers):
        body = mx.sym.Convolution(body, num_filter=channels, kernel=(3, 3), pad=(1, 1), no_bias=True,
                                  name='conv%d' % index)
        body = mx.sym.BatchNorm(body, use_global_stats=True, fix_gamma=False, name='bn%d' % index)
        body = mx.sym.Activation(body, act_type='relu')
    return body


def random_params(pool, seed):
    rng = np.random.RandomState(seed)
    args = {name: mx.nd.array(rng.randn(*array.shape) * 0.15 + name.endswith('gamma'))
            for name, array in pool.arg_params.items()}
    auxs = {name: mx.nd.array(rng.rand(*array.shape) * 0.1 + name.endswith('var'))
            for name, array in pool.aux_params.items()}
    return args, auxs


def image(size, seed=0):
    return mx.nd.array(np.random.RandomState(seed).randn(1, 3, *size))


def plain_output(symbol, params, data):
    """The output by an executor of its own; with gradients, so that no layers are fused."""
    executor = symbol.simple_bind(mx.cpu(), data=data.shape)
    executor.copy_params_from(*params)
    return executor.forward(is_train=False, data=data)[0].asnumpy()


def resident_mib():
    with open('/proc/self/statm') as stream:
        return int(stream.read().split()[1]) * 4096 / 2 ** 20


@pytest.mark.parametrize('grad_req', ['null', 'write'])
def test_alternating_sizes_give_the_results_of_separate_executors(grad_req):
    symbol = convolutions()
    pool = ExecutorPool(symbol, mx.cpu(), {'data': (1, 3, 40, 40)}, grad_req)
    for seed in (0, 1):     # the second parameters must replace whatever fusion made of the first
        params = random_params(pool, seed)
        pool.set_params(*params)
        for size in SIZES + SIZES[::-1]:
            result = pool.forward({'data': image(size)}).outputs[0].asnumpy()
            expected = plain_output(symbol, params, image(size))
            assert expected.max() > 0
            np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4 * expected.max())


def test_fused_layers_notice_a_changed_batch_norm():
    pool = ExecutorPool(convolutions(), mx.cpu(), {'data': (1, 3, 40, 40)})
    args, auxs = random_params(pool, 0)
    pool.set_params(args, auxs)
    before = pool.forward({'data': image(SIZES[0])}).outputs[0].asnumpy()
    pool.set_params({name: args[name] * 2 for name in ('bn3_gamma', 'bn3_beta')}, {}, allow_missing=True)
    np.testing.assert_allclose(pool.forward({'data': image(SIZES[0])}).outputs[0].asnumpy(), 2 * before, rtol=1e-4,
                               atol=1e-5)


def test_inference_is_fused_for_every_size():
    if not mx.runtime.Features().is_enabled('MKLDNN'):
        pytest.skip('this build of MXNet fuses nothing by itself')
    pool = ExecutorPool(convolutions(), mx.cpu(), {'data': (1, 3, 40, 40)})
    for size in SIZES:
        assert 'sg_mkldnn_conv' in pool.get({'data': (1, 3) + size}).debug_str()


def test_gradients_are_shared():
    symbol = convolutions()
    pool = ExecutorPool(symbol, mx.cpu(), {'data': (1, 3, 40, 40)}, 'write')
    params = random_params(pool, 0)
    pool.set_params(*params)
    for size in SIZES:
        executor = pool.forward({'data': image(size)}, is_train=True)
        executor.backward(mx.nd.ones(executor.outputs[0].shape))
        alone = symbol.simple_bind(mx.cpu(), data=(1, 3) + size)
        alone.copy_params_from(*params)
        alone.forward(is_train=True, data=image(size))
        alone.backward(mx.nd.ones(executor.outputs[0].shape))
        for name, gradient in pool.grads.items():
            expected = alone.grad_dict[name].asnumpy()
            np.testing.assert_allclose(gradient.asnumpy(), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    assert 'data' not in pool.grads


def test_new_sizes_take_next_to_no_memory():
    # Training keeps several arrays of 32 x 72 x 72 floats a layer: an executor of its own takes 15 MiB or more.
    pool = ExecutorPool(convolutions(8, 32), mx.cpu(), {'data': (1, 3, 72, 72)}, 'write')

    def step(size):
        executor = pool.forward({'data': image(size)}, is_train=True)
        executor.backward(mx.nd.ones(executor.outputs[0].shape))
        mx.nd.waitall()

    for size in [(72, 72), (71, 70), (70, 71)]:
        step(size)
    before = resident_mib()
    for index in range(12):
        step((66 + index % 4, 72 - index))
    assert resident_mib() - before < 60


def test_least_recently_used_sizes_go_first():
    pool = ExecutorPool(convolutions(1), mx.cpu(), {'data': (1, 3, 40, 40)}, capacity=2)
    first = pool.get({'data': (1, 3, 8, 8)})
    second = pool.get({'data': (1, 3, 9, 9)})
    assert pool.get({'data': (1, 3, 8, 8)}) is first
    pool.get({'data': (1, 3, 10, 10)})
    assert pool.get({'data': (1, 3, 8, 8)}) is first
    assert pool.get({'data': (1, 3, 9, 9)}) is not second


def test_larger_than_the_largest_still_works():
    symbol = convolutions()
    pool = ExecutorPool(symbol, mx.cpu(), {'data': (1, 3, 10, 10)})
    params = random_params(pool, 0)
    pool.set_params(*params)
    for size in [(10, 10), (30, 40), (10, 10), (50, 50)]:
        result = pool.forward({'data': image(size)}).outputs[0].asnumpy()
        np.testing.assert_allclose(result, plain_output(symbol, params, image(size)), rtol=1e-4,
                                   atol=1e-4 * result.max())


def test_arrays_of_numpy_and_inputs_left_out():
    body = mx.sym.FullyConnected(mx.sym.Variable('data'), num_hidden=2, name='fc')
    symbol = mx.sym.SoftmaxOutput(body, mx.sym.Variable('label'), name='softmax')
    pool = ExecutorPool(symbol, mx.cpu(), {'data': (4, 3), 'label': (4,)})
    pool.set_params({'fc_weight': mx.nd.ones((2, 3)), 'fc_bias': mx.nd.zeros((2,))}, {})
    output = pool.forward({'data': np.ones((3, 3), np.float32)}).outputs[0]
    np.testing.assert_allclose(output.asnumpy(), np.full((3, 2), 0.5))


def test_wrong_parameters_are_named():
    pool = ExecutorPool(convolutions(), mx.cpu(), {'data': (1, 3, 10, 10)})
    args, auxs = random_params(pool, 0)
    with pytest.raises(CheckpointError, match=r'^m-0001.params: 20 of the 20 parameters .* conv0_weight, .*, \.\.\.'):
        pool.set_params({}, {}, source='m-0001.params')
    with pytest.raises(CheckpointError,
                       match=r'parameter conv1_weight has shape \(8, 8, 1, 1\), the network needs \(8, 8, 3, 3\)'):
        pool.set_params(dict(args, conv1_weight=mx.nd.zeros((8, 8, 1, 1))), auxs)
    with pytest.raises(ValueError, match='not inputs of the network: image'):
        ExecutorPool(convolutions(), mx.cpu(), {'image': (1, 3, 10, 10)})


def test_networks_of_one_size_say_so():
    symbol = mx.sym.FullyConnected(mx.sym.Variable('data'), num_hidden=2, name='fc')
    pool = ExecutorPool(symbol, mx.cpu(), {'data': (1, 3, 10, 10)})
    with pytest.raises(ValueError, match=r'parameter fc_weight would be \(2, 363\)'):
        pool.get({'data': (1, 3, 11, 11)})
