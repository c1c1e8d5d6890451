"""The frozen beginning of a network, computed apart in training: the values of the whole network."""
import mxnet as mx
import numpy as np
import pytest

from lib.config.defaults import detection_defaults, fgfa_defaults, segmentation_defaults
from lib.engine.executors import ExecutorPool
from lib.symbols.registry import get_symbol_instance
from lib.train import frozen_part
from lib.train.frozen import fixed_param_names, with_stored_statistics
from lib.train.frozen_part import SplitPool, split, training_pool
from lib.train.module import MutableModule
from tests.helpers import tiny, tiny_seg  # noqa: F401  (registers the networks)
from tests.helpers.symbol_tools import lively_params, relative_difference, run, small

HEIGHT, WIDTH, CELLS = 64, 96, (4, 6)
BACKBONE = ['conv1', 'bn', 'res']
IMAGES = {'resnet_v1_rfcn': ['data'], 'resnet_v1_flownet_rfcn': ['data', 'data_ref'],
          'resnet_v1_fgfa_rfcn': ['data', 'data_bef', 'data_aft'], 'resnet_v1_deeplab': ['data'],
          'resnet_v1_flownet_deeplab': ['data', 'data_ref']}
CASES = [('resnet_v1_rfcn', ['conv1', 'bn_conv1'], {}), ('resnet_v1_flownet_rfcn', BACKBONE, {}),
         ('resnet_v1_flownet_rfcn', BACKBONE, {'FEATURE_STRIDE': 8, 'RPN_FEAT_STRIDE': 8, 'RCNN_FEAT_STRIDE': 8}),
         ('resnet_v1_flownet_rfcn', ['conv1', 'bn_conv1', 'res2', 'bn2'], {}), ('resnet_v1_fgfa_rfcn', BACKBONE, {}),
         ('resnet_v1_deeplab', ['conv1', 'bn_conv1', 'upsampling'], {}), ('resnet_v1_flownet_deeplab', BACKBONE, {})]


def training(name, fixed, settings, seed=0):
    """(symbol, inputs, labels, names of frozen parameters, parameters) of a small network in training."""
    cfg = segmentation_defaults() if 'deeplab' in name else fgfa_defaults() if 'fgfa' in name else detection_defaults()
    own = {'FGFA_FEAT_DIM': 48} if 'fgfa' in name else {}
    cfg.symbol = name
    small(cfg, **own, **settings)
    cfg.network.update(BN_GLOBAL_STATS=True, FIXED_PARAMS=fixed)
    rng = np.random.RandomState(seed)
    inputs = {image: 30 * rng.randn(1, 3, HEIGHT, WIDTH) for image in IMAGES[name]}
    if 'flownet' in name:
        inputs['eq_flag'] = np.zeros(1)
    if 'deeplab' in name:
        labels = {'label': rng.randint(0, 4, (1, 1, HEIGHT, WIDTH))}
    else:
        inputs.update(im_info=[[HEIGHT, WIDTH, 1]], gt_boxes=[[[10, 12, 50, 44, 1], [30, 8, 80, 60, 2]]])
        height, width = (side * 16 // cfg.network.FEATURE_STRIDE for side in CELLS)
        labels = {'label': rng.randint(-1, 2, (1, 6 * height * width)),
                  'bbox_target': rng.randn(1, 24, height, width), 'bbox_weight': np.ones((1, 24, height, width))}
    instance = get_symbol_instance(cfg)
    symbol = instance.get_train_symbol(cfg)
    params = lively_params(instance, dict(inputs, **labels))
    inputs, labels = ({key: np.asarray(value, np.float32) for key, value in each.items()} for each in (inputs, labels))
    names = fixed_param_names(symbol, [*inputs, *labels], cfg.network)
    return with_stored_statistics(symbol, [*inputs, *labels, *names]), inputs, labels, names, params


@pytest.mark.parametrize('name, fixed, settings', CASES)
def test_outputs_and_gradients_are_those_of_the_whole_network(name, fixed, settings, monkeypatch):
    monkeypatch.setattr(frozen_part, 'SMALLEST_SHARE', 0)
    symbol, inputs, labels, names, (args, auxs) = training(name, fixed, settings)
    module = MutableModule(symbol, list(inputs), list(labels), fixed_param_names=names)
    module.bind([(key, value.shape) for key, value in inputs.items()],
                [(key, value.shape) for key, value in labels.items()])
    module.init_params(None, *({key: mx.nd.array(value) for key, value in each.items()} for each in (args, auxs)))
    pool = module._pools[0]
    assert isinstance(pool, SplitPool)
    module.forward_backward(mx.io.DataBatch(*([mx.nd.array(value) for value in each.values()]
                                              for each in (inputs, labels))))
    outputs, gradients = run(symbol, dict(inputs, **labels), args, auxs, train=True)
    assert list(outputs) == module.output_names and len(outputs) == len(module.get_outputs())
    for (key, wanted), value in zip(outputs.items(), module.get_outputs()):
        assert relative_difference(value.asnumpy(), wanted) < 1e-4, key
    assert set(pool.grads) == set(gradients) - set(names)
    for key, gradient in pool.grads.items():
        assert relative_difference(gradient.asnumpy(), gradients[key]) < 1e-3, key
    for kept, given, order in zip(module.get_params(), (args, auxs), (symbol.list_arguments(),
                                                                      symbol.list_auxiliary_states())):
        assert list(kept) == [key for key in order if key in given]
        for key, value in kept.items():
            np.testing.assert_array_equal(value.asnumpy(), given[key], err_msg=key)


def layers(*kinds, shared=None):
    """A classifier whose layers before its last convolution are of these kinds."""
    body = mx.sym.Variable('data')
    for number, kind in enumerate(kinds):
        if kind == 'conv':
            weight = mx.sym.Variable('conv%d_weight' % number) if shared is None else shared
            body = mx.sym.Convolution(body, weight, num_filter=3, kernel=(3, 3), pad=(1, 1), no_bias=True,
                                      name='conv%d' % number)
        elif kind == 'drop':
            body = mx.sym.Dropout(body, p=0.5, name='drop%d' % number)
        elif kind == 'relu':
            body = mx.sym.Activation(body, act_type='relu', name='relu%d' % number)
        else:
            body = mx.sym.BatchNorm(body, use_global_stats=kind == 'stored', fix_gamma=False, name='bn%d' % number)
    body = mx.sym.Convolution(body, num_filter=3, kernel=(1, 1), name='last')
    return mx.sym.SoftmaxOutput(mx.sym.Flatten(body), mx.sym.Variable('label'), name='softmax')


@pytest.mark.parametrize('kinds, outputs', [
    (['conv', 'stored', 'relu', 'conv', 'stored'], ['bn4_frozen0']),
    (['conv', 'relu', 'drop', 'conv'], ['relu1_frozen0']),
    (['conv', 'stored', 'conv', 'learned', 'conv'], ['conv2_frozen0']), (['relu'], None), (['drop', 'conv'], None)])
def test_the_frozen_part_ends_before_what_training_computes_otherwise(kinds, outputs):
    symbol = layers(*kinds)
    parts = split(symbol, {'data'}, [name for name in symbol.list_arguments() if name.startswith(('conv', 'bn'))])
    assert (parts and parts.names) == outputs
    if parts:
        assert set(outputs) < set(parts.trained.list_arguments())
        owned = [set(each.list_inputs()) - {'data', 'label', *outputs} for each in (parts.frozen, parts.trained)]
        assert not owned[0] & owned[1] and owned[0] | owned[1] == set(symbol.list_inputs()) - {'data', 'label'}


def test_what_is_trained_or_read_twice_is_no_frozen_part():
    weight = mx.sym.Variable('shared')
    assert split(layers('conv', 'stored', 'conv', shared=weight), {'data'}, ['shared', 'bn1_gamma', 'bn1_beta']) is None
    assert split(layers('conv', 'relu'), {'data'}, []) is None
    assert split(layers('conv', 'relu'), set(), ['conv0_weight']) is None


def test_weights_that_are_computed_count_as_others():
    image, kept = mx.sym.Variable('data'), mx.sym.Variable('kept', shape=(4, 3, 3, 3))
    body = mx.sym.Convolution(image, kept * 2, num_filter=4, kernel=(3, 3), no_bias=True, num_group=1, name='conv')
    half = mx.sym.split(mx.sym.Variable('both', shape=(8, 2, 5, 5)), num_outputs=2, axis=0)[1]
    body = mx.sym.Convolution(body, half, num_filter=4, kernel=(5, 5), num_group=2, no_bias=True, name='last')
    shapes = {'data': (1, 3, 10, 9)}
    assert frozen_part._work(body, shapes) == 8 * 7 * 4 * 3 * 9 + 4 * 3 * 4 * 2 * 25
    symbol = mx.sym.MakeLoss(body)
    given = {'kept': mx.nd.random.normal(shape=(4, 3, 3, 3)), 'both': mx.nd.ones((8, 2, 5, 5))}
    pool = training_pool(symbol, mx.cpu(), shapes, {'both': 'write'}, ['data'], ['kept'])
    pool.set_params(given, {})
    values = {'data': np.random.RandomState(0).randn(*shapes['data'])}
    executor = pool.fill({'data': mx.nd.array(values['data'])})
    executor.forward(is_train=True)
    wanted = run(symbol, values, {name: array.asnumpy() for name, array in given.items()}, train=True)[0]
    assert isinstance(pool, SplitPool)
    assert relative_difference(executor.outputs[0].asnumpy(), *wanted.values()) < 1e-5


def test_small_frozen_parts_and_gpus_have_executors_of_the_whole_network(monkeypatch):
    symbol, shapes = layers(*['conv', 'relu'] * 6), {'data': (1, 3, 8, 8), 'label': (1,)}
    requests = {'last_weight': 'write'}
    fixed = [['conv%d_weight' % number for number in range(0, 2 * count, 2)] for count in (1, 3)]
    kinds = [type(training_pool(symbol, mx.cpu(), shapes, requests, ['data'], names)) for names in fixed]
    assert kinds == [ExecutorPool, SplitPool]
    assert type(training_pool(symbol, mx.cpu(), shapes, {}, ['data'], fixed[1])) is ExecutorPool
    monkeypatch.setattr(frozen_part, 'ExecutorPool', lambda *_: 'whole')
    assert training_pool(symbol, mx.gpu(), shapes, requests, ['data'], fixed[1]) == 'whole'


def batch_of(rng, sizes):
    data, label = ([[mx.nd.array(rng.randn(*shape(size)))] for size in sizes]
                   for shape in (lambda size: (2, 3, *size), lambda size: (2,)))
    return mx.io.DataBatch(data, label)


@pytest.mark.parametrize('devices', [1, 2])
def test_sizes_that_change_and_new_frozen_parameters(devices):
    body = mx.sym.Convolution(mx.sym.Variable('data'), num_filter=8, kernel=(3, 3), pad=(1, 1), name='conv1')
    body = mx.sym.BatchNorm(body, use_global_stats=True, fix_gamma=False, name='bn1')
    body = mx.sym.Activation(body, act_type='relu')
    for name in ('conv1b', 'conv1c'):      # MXNet fuses the sums, too, and then rounds in another way
        branch = mx.sym.Convolution(body, num_filter=8, kernel=(3, 3), pad=(1, 1), name=name)
        body = mx.sym.Activation(branch + body, act_type='relu')
    body = mx.sym.Convolution(body, num_filter=8, kernel=(3, 3), name='conv2')
    body = mx.sym.Pooling(body, global_pool=True, kernel=(1, 1), pool_type='avg')
    symbol = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(body, num_hidden=3, name='fc'), mx.sym.Variable('label'))
    fixed = [name for name in symbol.list_arguments() if name.startswith(('conv1', 'bn1'))]
    module = MutableModule(symbol, ['data'], ['label'], context=[mx.cpu(i) for i in range(devices)],
                           fixed_param_names=fixed)
    module.bind([[('data', (2, 3, 20, 20))]] * devices, [[('label', (2,))]] * devices)
    assert module.data_shapes == [('data', (2, 3, 20, 20))]
    assert all(isinstance(pool, SplitPool) for pool in module._pools)
    rng = np.random.RandomState(0)
    for _ in range(2):
        given = [{name: mx.nd.array(0.1 * rng.randn(*array.shape) + name.endswith(('gamma', 'var')))
                  for name, array in each.items()}
                 for each in (module._pools[0].arg_params, module._pools[0].aux_params)]
        module.init_params(None, *given, force_init=True)
        for sizes in ([(9, 14), (20, 20)], [(24, 12), (8, 8)], [(9, 14), (24, 12)]):
            batch = batch_of(rng, sizes[:devices])
            module.forward_backward(batch)
            assert module.data_shapes == [('data', (2, 3, *sizes[0]))]
            for device, pool in enumerate(module._pools):
                values = {'data': batch.data[device][0].asnumpy(), 'label': batch.label[device][0].asnumpy()}
                params = ({name: array.asnumpy() for name, array in each.items()} for each in given)
                outputs, gradients = run(symbol, values, *params, train=True)
                found = module.get_outputs(merge_multi_context=False)[0][device].asnumpy()
                np.testing.assert_allclose(found, outputs[module.output_names[0]], rtol=1e-5)
                for name, gradient in pool.grads.items():
                    assert relative_difference(gradient.asnumpy(), gradients[name]) < 1e-4, name
    same = mx.io.DataBatch([batch.data[0]] * devices, [batch.label[0]] * devices)
    module.forward_backward(same)
    one, *others = ({name: gradient.asnumpy() for name, gradient in pool.grads.items()} for pool in module._pools)
    for other in others:
        for name, gradient in one.items():
            np.testing.assert_array_equal(other[name], gradient, err_msg=name)
