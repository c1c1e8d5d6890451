"""Networks rewritten for inference against the networks as they are built; parts of the rewriting one by one."""
import ctypes
import gc

import mxnet as mx
import numpy as np
import pytest

from dff.errors import CheckpointError
from lib.graph import native_layers
from lib.graph.graph import Graph, Node
from lib.graph.inference_graph import for_inference
from lib.graph.winograd import fits, pays, transformed
from lib.operator_cxx import loader
from tests.helpers import symbol_tools

native = pytest.mark.skipif(not loader.load(), reason='the native operators are not built (sh init.sh builds them)')
SIZE = (90, 122)


@pytest.fixture
def winograd_everywhere(monkeypatch):
    """Small networks use the algorithm too, wherever it can be used."""
    monkeypatch.setattr(native_layers, 'pays',
                        lambda node, in_shape, out_shape: pays(node, (1, 9999), (1, 9999, 99, 99)))


def config(task):
    import copy
    import importlib
    return symbol_tools.small(copy.deepcopy(importlib.import_module('%s.config.config' % task).config))


def inputs_of(phase, cfg):
    rng = np.random.RandomState(3)
    image, feature = (1, 3) + SIZE, (1, cfg.network.DFF_FEAT_DIM, 6, 8)
    arrays = dict(data=30 * rng.randn(*image), im_info=[[SIZE[0], SIZE[1], 1]])
    if phase == 'cur_test':
        arrays.update(data_key=30 * rng.randn(*image), feat_key=abs(rng.randn(*feature)))
    return arrays


def both(symbol, arrays, args, auxs):
    """Outputs of the symbol as it is, and rewritten; and the operators of the latter."""
    shapes = {name: np.shape(value) for name, value in arrays.items()}
    fast, fast_args, fast_auxs = for_inference(symbol, shapes, args, auxs)
    plain = list(symbol_tools.run(symbol, arrays, args, auxs)[0].values())
    return plain, list(symbol_tools.run(fast, arrays, fast_args,
                                        fast_auxs)[0].values()), [node.op for node in Graph(fast).nodes()]


@pytest.mark.parametrize('task, name, phase',
                         [('rfcn', 'resnet_v1_rfcn', 'test'), ('dff_rfcn', 'resnet_v1_flownet_rfcn', 'cur_test')])
def test_networks_compute_the_same(task, name, phase, request):
    if loader.load():
        request.getfixturevalue('winograd_everywhere')
    cfg, instance = config(task), symbol_tools.network(task, name)
    arrays = inputs_of(phase, cfg)
    symbol = getattr(instance, symbol_tools.METHODS[phase])(cfg)
    plain, fast, operators = both(symbol, arrays, *symbol_tools.lively_params(instance, arrays))
    assert '_copy' not in operators
    assert 'BatchNorm' not in operators and ('DFFWinograd' in operators) == loader.load()
    if phase == 'cur_test':
        assert ('DFFDeconvolution' in operators, 'Deconvolution' in operators) == (loader.load(), not loader.load())
    assert len(plain) == len(fast) >= 3
    for a, b in zip(plain, fast):
        assert symbol_tools.relative_difference(b, a) < 1e-4


def test_batch_norm_is_folded_only_where_nothing_else_reads_the_convolution():
    conv = mx.sym.Convolution(mx.sym.Variable('data'), num_filter=4, kernel=(1, 1), no_bias=True, name='conv')
    conv2 = mx.sym.Convolution(conv, num_filter=4, kernel=(1, 1), name='conv2')
    norm = [mx.sym.BatchNorm(value, fix_gamma=False, use_global_stats=True, name=name)
            for value, name in ((conv, 'a'), (conv2, 'b'))]
    rng = np.random.RandomState(0)
    symbol = mx.sym.Group(norm)
    shapes = dict(zip(symbol.list_arguments(), symbol.infer_shape(data=(1, 3, 5, 5))[0]))
    args = {name: rng.rand(*shape).astype(np.float32) for name, shape in shapes.items() if name != 'data'}
    auxs = {name: np.full(4, 2, np.float32) for name in symbol.list_auxiliary_states()}
    plain, fast, operators = both(symbol, {'data': rng.randn(1, 3, 5, 5)}, args, auxs)
    assert operators.count('BatchNorm') == 1
    for a, b in zip(plain, fast):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def relu(value):
    return mx.sym.Activation(value, act_type='relu')


@pytest.mark.parametrize('network, wanted', [
    (lambda x: relu(x) + x, lambda x: np.maximum(x, 0) + x), (lambda x: x + x, lambda x: 2 * x),
    (lambda x: mx.sym.clip(x, 0, 1) + x, lambda x: np.clip(x, 0, 1) + x),
    (lambda x: mx.sym.Concat(mx.sym.LeakyReLU(x, act_type='leaky', slope=0.1) + x, x, dim=1),
     lambda x: np.concatenate([np.where(x > 0, 2, 1.1) * x, x], axis=1)),
    (lambda x: mx.sym.Group([relu(x), x]), lambda x: np.maximum(x, 0))])
def test_what_several_layers_read_is_fused_with_none_of_them(network, wanted):
    """MXNet itself gives the sums other values, or fails."""
    conv = mx.sym.Convolution(mx.sym.Variable('data'), num_filter=8, kernel=(3, 3), name='conv')
    rng = np.random.RandomState(0)
    args = {'conv_weight': rng.randn(8, 3, 3, 3).astype(np.float32), 'conv_bias': rng.randn(8).astype(np.float32)}
    data = {'data': rng.randn(1, 3, 9, 8)}
    value = symbol_tools.run(conv, data, args)[0]['conv_output']
    fast, arguments, _ = for_inference(network(conv), {'data': data['data'].shape}, args, {})
    outputs = list(symbol_tools.run(fast, data, arguments)[0].values())
    assert symbol_tools.relative_difference(outputs[0], wanted(value)) < 1e-6
    assert len(outputs) == 1 or symbol_tools.relative_difference(outputs[1], value) < 1e-6


@pytest.mark.parametrize('filters', [4, 8])      # with four it would be widened
def test_weights_that_are_computed_or_shared_are_left_as_they_are(filters, request):
    if loader.load():
        request.getfixturevalue('winograd_everywhere')
    weight = mx.sym.Variable('weight', shape=(filters, 3, 3, 3))
    bias, image = mx.sym.Variable('bias', shape=(filters,)), mx.sym.Variable('data')
    given = [(weight * 2, bias), (weight, bias * 2), (weight, bias), (mx.sym.split(weight, num_outputs=1), bias)]
    norms = [mx.sym.BatchNorm(mx.sym.Convolution(image, *each, num_filter=filters, kernel=(3, 3), pad=(1, 1),
                                                 name='conv%d' % number),
                              fix_gamma=False, use_global_stats=True, name='norm%d' % number)
             for number, each in enumerate(given)]
    symbol, rng = mx.sym.Concat(*norms, dim=1), np.random.RandomState(0)
    shapes, _, aux_shapes = symbol.infer_shape(data=(1, 3, 6, 7))
    args = {name: rng.rand(*shape).astype(np.float32) for name, shape in zip(symbol.list_arguments(), shapes)}
    auxs = {name: np.full(shape, 2, np.float32) for name, shape in zip(symbol.list_auxiliary_states(), aux_shapes)}
    data = {'data': args.pop('data')}
    (plain,), (fast,), _ = both(symbol, data, args, auxs)
    assert symbol_tools.relative_difference(fast, plain) < 1e-5


def test_narrow_layers_are_widened_and_the_rest_sees_nothing_of_it():
    data = mx.sym.Variable('data')
    narrow = mx.sym.Convolution(data, num_filter=2, kernel=(3, 3), pad=(1, 1), name='narrow')
    up = mx.sym.Deconvolution(narrow, num_filter=2, kernel=(4, 4), stride=(2, 2), pad=(1, 1), no_bias=False, name='up')
    wide = mx.sym.Deconvolution(data, num_filter=5, kernel=(4, 4), stride=(2, 2), pad=(1, 1), no_bias=False,
                                name='wide')
    joined = mx.sym.LeakyReLU(mx.sym.Concat(wide, up, dim=1, name='joined'), act_type='leaky', slope=.1)
    last = mx.sym.Convolution(joined, num_filter=9, kernel=(3, 3), name='last')
    symbol = mx.sym.Group([last, narrow * 2, mx.sym.Concat(narrow, narrow, dim=1), up])
    rng = np.random.RandomState(1)
    shapes = dict(zip(symbol.list_arguments(), symbol.infer_shape(data=(1, 3, 6, 7))[0]))
    args = {name: rng.randn(*shape).astype(np.float32) for name, shape in shapes.items() if name != 'data'}
    plain, fast, _ = both(symbol, {'data': rng.randn(1, 3, 6, 7)}, args, {})
    for a, b in zip(plain, fast):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@native
@pytest.mark.parametrize('kernel, stride, dilate', [(3, 1, 1), (3, 1, 3), (5, 2, 1)])
@pytest.mark.parametrize('size', [(37, 22), (5, 4), (1, 1)])
def test_winograd_agrees_with_convolution(kernel, stride, dilate, size):
    rng = np.random.RandomState(2)
    pad = dilate * (kernel // 2)
    arrays = dict(data=rng.randn(2, 19, *size), weight=rng.randn(21, 19, kernel, kernel), bias=rng.randn(21))
    variables = [mx.sym.Variable(name) for name in arrays]
    plain = mx.sym.Convolution(*variables, num_filter=21, kernel=(kernel, kernel), stride=(stride, stride),
                               pad=(pad, pad), dilate=(dilate, dilate))
    expected = symbol_tools.run(mx.sym.LeakyReLU(plain, act_type='leaky', slope=0.1), arrays)[0].popitem()[1]
    fast = mx.sym.DFFWinograd(*variables, num_filter=21, dilate=dilate, stride=stride, up=1, slope=0.1)
    out = symbol_tools.run(fast, dict(arrays, weight=transformed(arrays['weight'])))[0].popitem()[1]
    assert symbol_tools.relative_difference(out, expected) < 1e-5


@native
@pytest.mark.parametrize('size', [(37, 22), (5, 4), (1, 1)])
@pytest.mark.parametrize('channels, filters', [(19, 9), (40, 1), (16, 8)])
def test_winograd_agrees_with_deconvolution(size, channels, filters):
    rng = np.random.RandomState(2)
    arrays = dict(data=rng.randn(2, channels, *size), bias=rng.randn(filters),
                  weight=rng.randn(channels, filters, 4, 4))
    variables = [mx.sym.Variable(name) for name in ('data', 'weight', 'bias')]
    plain = mx.sym.Deconvolution(*variables, num_filter=filters, kernel=(4, 4), stride=(2, 2), pad=(1, 1),
                                 no_bias=False)
    expected = symbol_tools.run(mx.sym.LeakyReLU(plain, act_type='leaky', slope=0.1), arrays)[0].popitem()[1]
    fast = mx.sym.DFFWinograd(*variables, num_filter=filters, dilate=1, stride=1, up=2, slope=0.1)
    out = symbol_tools.run(fast, dict(arrays, weight=transformed(arrays['weight'])))[0].popitem()[1]
    assert symbol_tools.relative_difference(out, expected) < 1e-5


@native
def test_winograd_names_what_does_not_fit():
    data, weight, bias = (mx.sym.Variable(name) for name in ('data', 'weight', 'bias'))
    with pytest.raises(mx.base.MXNetError, match='stride must be 1, or 2 with dilate 1'):
        mx.sym.DFFWinograd(data, weight, bias, num_filter=8, dilate=2, stride=2, up=1, slope=1)
    for other in (dict(dilate=2, stride=1), dict(dilate=1, stride=2)):
        with pytest.raises(mx.base.MXNetError, match='up must be 1, or 2 with stride 1 and dilate 1'):
            mx.sym.DFFWinograd(data, weight, bias, num_filter=8, up=2, slope=1, **other)
    symbol = mx.sym.DFFWinograd(data, weight, bias, num_filter=8, dilate=1, stride=1, up=1, slope=1)
    with pytest.raises(mx.base.MXNetError,
                       match=r'input weight has shape \(8, 3, 3, 3\), but data \(1, 3, 9, 9\) needs \(36, 1, 8, 16\)'):
        symbol.infer_shape(data=(1, 3, 9, 9), weight=(8, 3, 3, 3), bias=(8,))


@native
@pytest.mark.parametrize('size', [(7, 10), (1, 1), (2, 3), (23, 40)])
@pytest.mark.parametrize('channels, filters', [(19, 9), (300, 11), (16, 8)])
def test_deconvolution_agrees(size, channels, filters):
    rng = np.random.RandomState(2)
    arrays = dict(data=rng.randn(2, channels, *size), up_weight=rng.randn(channels, filters, 4, 4),
                  up_bias=rng.randn(filters))
    args = {name: mx.nd.array(arrays.pop(name)) for name in ('up_weight', 'up_bias')}
    arrays['like'] = np.zeros((1, 1, 2 * size[0] - 1, 2 * size[1]))
    up = mx.sym.Deconvolution(mx.sym.Variable('data'), num_filter=filters, kernel=(4, 4), stride=(2, 2), pad=(1, 1),
                              no_bias=False, name='up')
    cropped = mx.sym.slice_like(up, mx.sym.Variable('like'), axes=(2, 3), name='crop')
    for symbol, left in ((up, ['DFFDeconvolution']), (mx.sym.Activation(up, act_type='relu'), ['DFFDeconvolution']),
                         (mx.sym.LeakyReLU(cropped, act_type='leaky', slope=0.1), ['DFFDeconvolution', 'slice_like'])):
        inputs = {name: value for name, value in arrays.items() if name in symbol.list_arguments()}
        plain, fast, operators = both(symbol, inputs, args, {})
        assert [name for name in operators if name != 'null'] == left
        assert symbol_tools.relative_difference(fast[0], plain[0]) < 1e-5


@native
def test_other_deconvolutions_stay_as_they_are():
    data = mx.sym.Variable('data')
    usual = dict(num_filter=8, kernel=(4, 4), stride=(2, 2), pad=(1, 1), name='up')
    rng = np.random.RandomState(3)
    for change in (dict(kernel=(3, 3)), dict(pad=(0, 0)), dict(adj=(1, 1)), dict(num_group=2), dict(stride=(1, 1))):
        symbol = mx.sym.Deconvolution(data, no_bias=True, **dict(usual, **change))
        shape = symbol.infer_shape(data=(1, 8, 6, 7))[0][1]
        plain, fast, operators = both(symbol, {'data': rng.randn(1, 8, 6, 7)},
                                      {'up_weight': mx.nd.array(rng.randn(*shape))}, {})
        assert operators == ['null', 'null', 'Deconvolution'] and np.array_equal(plain[0], fast[0])


@native
def test_deconvolution_names_what_does_not_fit():
    symbol = mx.sym.DFFDeconvolution(*(mx.sym.Variable(name) for name in ('data', 'weight', 'bias')), num_filter=8,
                                     slope=1)
    with pytest.raises(mx.base.MXNetError,
                       match=r'input weight has shape \(3, 8, 4, 4\), but data \(1, 3, 9, 9\) needs \(8, 3, 16\)'):
        symbol.infer_shape(data=(1, 3, 9, 9), weight=(3, 8, 4, 4), bias=(8,))


def test_where_winograd_pays():
    def worth(channels, filters, height, width, **attributes):
        node = Node('Convolution', 'conv', dict({'kernel': '(3, 3)', 'pad': '(1, 1)'}, **attributes))
        return fits(node) and pays(node, (1, channels, height, width), (1, filters, height, width))
    assert worth(256, 256, 36, 63) and worth(2048, 1024, 36, 63, dilate='(6, 6)', pad='(6, 6)')
    # transforms cost more; weights cost more
    assert not worth(16, 16, 200, 200) and not worth(1024, 1024, 5, 8)
    assert not worth(256, 256, 36, 63, stride='(2, 2)') and not worth(256, 256, 36, 63, num_group='2')
    assert not worth(256, 256, 36, 63, kernel='(1, 1)', pad='(0, 0)')


def test_parameters_that_do_not_fit():
    symbol = mx.sym.Convolution(mx.sym.Variable('data'), num_filter=4, kernel=(1, 1), name='conv')
    weight = np.zeros((4, 3, 1, 1), np.float32)
    with pytest.raises(CheckpointError,
                       match='some.params: 1 of the 2 parameters of the network are missing: conv_bias'):
        for_inference(symbol, {'data': (1, 3, 5, 5)}, {'conv_weight': weight}, {}, 'some.params')
    with pytest.raises(CheckpointError,
                       match=r'some.params: .* conv_weight has shape \(4, 3, 1, 1\), the network needs \(4, 7, 1, 1\)'):
        for_inference(symbol, {'data': (1, 7, 5, 5)}, {'conv_weight': weight, 'conv_bias': weight[:, 0, 0, 0]}, {},
                      'some.params')


class _MallocInfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in (
        'arena', 'ordblks', 'smblks', 'hblks', 'hblkhd', 'usmblks', 'fsmblks', 'used', 'free', 'keepcost')]


def test_reading_a_network_leaves_nothing_in_memory():
    mallinfo = getattr(ctypes.CDLL(None), 'mallinfo2', None)
    if mallinfo is None:
        pytest.skip('the C library does not tell what is allocated')
    mallinfo.restype = _MallocInfo
    cfg, instance = config('rfcn'), symbol_tools.network('rfcn', 'resnet_v1_rfcn')
    symbol = instance.get_test_symbol(cfg)

    def used_after(times):
        for _ in range(times):
            Graph(symbol)
        gc.collect()
        return mallinfo().used
    before = used_after(3)
    assert used_after(20) - before < 5 * len(symbol.tojson())      # MXNet's own way would leave the text 20 times
