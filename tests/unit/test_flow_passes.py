"""network.FLOW_PASSES: the flow network looks again at what its own flow has not explained."""
import mxnet as mx
import numpy as np
import pytest

from dff.errors import CheckpointError
from lib.engine.executors import ExecutorPool
from lib.inference.detector import VideoDetector
from lib.symbols.initialise import of_first_pass
from lib.symbols.flownet import flownet, predictions
from lib.symbols.registry import get_symbol_instance
from tests.helpers import tiny, tiny_seg
from tests.helpers.symbol_tools import lively_params, relative_difference, run

KINDS = 'flownet', 'flownet_correlation', 'flownet_inception'
HALF = 36, 52      # of images of 72 x 104


def symbol_of(kind, stride, passes, input_scale=0.5):
    images = [mx.sym.Variable(name) for name in ('data', 'data_ref')]
    return mx.sym.Group(list(flownet(*images, 24, 0.25, kind=kind, stride=stride, passes=passes,
                                     input_scale=input_scale)))


def parameters(symbol, seed=2):
    shape, random = (1, 3, 2 * HALF[0], 2 * HALF[1]), np.random.RandomState(seed)
    shapes = zip(symbol.list_arguments(), symbol.infer_shape(data=shape, data_ref=shape)[0])
    args = {name: 1.4 * random.standard_normal(each) / np.sqrt(np.prod(each[1:]) + 1)
            for name, each in shapes if not name.startswith('data')}
    for layer in ('Convolution5', 'pass2_Convolution5'):
        if layer + '_bias' in args:
            args[layer + '_bias'] = np.array([0.06, -0.04])      # something moves, whatever the images
    return args


def doubled(half):
    """An image of which `half` is the half."""
    return half.repeat(2, axis=2).repeat(2, axis=3)


def fetched(image, flow, step):
    """`image` [1, 3, h, w] at the ends of `flow` [1, 2, h', w'] in cells of `step` pixels: what _fetched does."""
    pixels = np.pad((flow * step).repeat(step, axis=2).repeat(step, axis=3),
                    ((0, 0), (0, 0)) + ((step // 2, step // 2),) * 2, mode='edge')
    height, width = image.shape[2:]
    mean = sum(pixels[:, :, y:y + height, x:x + width] for y in range(step + 1) for x in range(step + 1))
    y, x = np.mgrid[:height, :width] + mean[0, ::-1] / (step + 1) ** 2
    framed = np.pad(image, ((0, 0), (0, 0), (1, 1), (1, 1)))      # 0 outside
    y, x = np.clip(y + 1, 0, height + 1), np.clip(x + 1, 0, width + 1)
    top, left = np.minimum(y.astype(int), height), np.minimum(x.astype(int), width)
    down, right = y - top, x - left
    return sum(framed[:, :, top + i, left + j] * (down if i else 1 - down) * (right if j else 1 - right)
               for i in (0, 1) for j in (0, 1))


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('stride, input_scale', [(16, 0.5), (8, 0.5), (16, 0.25), (8, 0.25)])
def test_two_passes_are_one_and_one_behind_what_it_fetched(kind, stride, input_scale):
    once, again = (symbol_of(kind, stride, passes, input_scale) for passes in (1, 2))
    args, second, random = parameters(once, 2), parameters(once, 3), np.random.RandomState(0)
    here, there = (40 * random.standard_normal((1, 3) + HALF) for _ in range(2))

    def outputs(symbol, reference, values):
        pair = {'data': doubled(here), 'data_ref': doubled(reference)}
        if input_scale == 0.25:
            pair = {name: doubled(image) for name, image in pair.items()}
        return list(run(symbol, pair, values)[0].values())
    first, _ = outputs(once, there, args)
    rest, scale = outputs(once, fetched(there, first, int(stride * input_scale)), second)
    both = dict({name: value for name, value in args.items() if 'Convolution5_scale' not in name},
                **{'pass2_' + name: value for name, value in second.items()})
    flow, found_scale = outputs(again, there, both)
    assert np.abs(first).max() > 0.1 and np.abs(rest).max() > 0.1
    assert relative_difference(flow, first + rest) < 1e-4 and relative_difference(found_scale, scale) < 1e-4


@pytest.mark.parametrize('kind', KINDS)
def test_each_pass_has_the_layers_of_the_first(kind):
    once, again = symbol_of(kind, 16, 1), symbol_of(kind, 16, 3)
    shape = dict.fromkeys(('data', 'data_ref'), (1, 3, 70, 102))
    one, three = (dict(zip(each.list_arguments(), each.infer_shape(**shape)[0])) for each in (once, again))
    flow = {name for name in one if 'Convolution5_scale' not in name}
    assert set(three) == flow | {'pass%d_%s' % (n, name) for n in (2, 3) for name in flow - set(shape)} | {
        'pass3_Convolution5_scale_weight', 'pass3_Convolution5_scale_bias'}
    assert all(three[name] == one[of_first_pass(name)] for name in three)
    assert again.attr_dict()['pass3_Convolution5_scale_bias']['__lr_mult__'] == '0.0'
    assert list(predictions(again[0]))[-3:] == ['Convolution5', 'flow_of_pass2', 'flow_of_pass3']
    assert list(predictions(once[0]))[-1] == 'Convolution5'


def test_further_passes_start_as_the_first():
    """From a checkpoint of one pass, and where all is new."""
    cfg = tiny.tiny_config('dff_rfcn', network__FLOW_PASSES=2)
    instance = get_symbol_instance(cfg)
    instance.get_cur_test_symbol(cfg)
    instance.infer_shape({'data': (1, 3, 64, 96), 'data_key': (1, 3, 64, 96), 'feat_key': (1, 32, 4, 6),
                          'im_info': (1, 3)})
    given = {'conv4_weight': mx.nd.ones(instance.arg_shape_dict['conv4_weight'])}
    added = instance.init_weight(cfg, given, {})
    assert not [name for name in added if name.startswith('pass2_') and 'scale' not in name]
    assert (given['pass2_conv4_weight'].asnumpy() == 1).all()
    for name in ('pass2_flow_conv1_weight', 'pass2_Convolution5_weight'):
        assert (given[name].asnumpy() == given[of_first_pass(name)].asnumpy()).all()
    assert (given['pass2_Convolution5_scale_bias'].asnumpy() == 1).all()


@pytest.mark.parametrize('task', ['dff_rfcn', 'fgfa_rfcn', 'dff_deeplab'])
def test_every_network_with_flow_has_them(task):
    config = tiny_seg.seg_config if task == 'dff_deeplab' else tiny.tiny_config
    cfg = config(task, network__FLOW_PASSES=2)
    symbol = get_symbol_instance(cfg).get_train_symbol(cfg)
    assert 'flow_of_pass2_output' in symbol.get_internals().list_outputs()
    assert len(symbol.list_arguments()) == len(set(symbol.list_arguments()))


def test_gradients_are_of_both_passes():
    """Of the sum of the flow, but for what goes through the fetched images, by the biases behind all else."""
    again = symbol_of('flownet', 16, 2)[0]
    args, random = parameters(again), np.random.RandomState(1)
    inputs = {name: doubled(40 * random.standard_normal((1, 3) + HALF)) for name in ('data', 'data_ref')}
    flow, gradients = run(mx.sym.MakeLoss(again), inputs, args, train=True)
    cells = np.prod(list(flow.values())[0].shape[2:])
    for layer in ('Convolution5', 'pass2_Convolution5'):
        np.testing.assert_allclose(gradients[layer + '_bias'], 2.5 * cells, rtol=1e-5)
    assert all(np.abs(gradients[name]).max() > 0 for name in ('flow_conv1_weight', 'pass2_flow_conv1_weight'))


@pytest.mark.parametrize('changes', [
    {'network__FLOW_PASSES': 2}, {'network__FLOW_INPUT_SCALE': 0.25},
    dict(tiny.STRIDE_8, network__FLOW_PASSES=2, network__FLOW_INPUT_SCALE=0.25)])
def test_a_detector_is_one_of_the_operators_composed(changes):
    """The network as rewritten for testing against the symbol as it is."""
    cfg = tiny.tiny_config('dff_rfcn', **changes)
    stride, instance = cfg.network.FEATURE_STRIDE, get_symbol_instance(cfg)
    flow = instance.get_cur_test_symbol(cfg).get_internals()['warping_feat_output']
    shapes = {'data': (1, 3, 64, 96), 'data_key': (1, 3, 64, 96), 'feat_key': (1, 32, 64 // stride, 96 // stride)}
    random = np.random.RandomState(0)
    inputs = {name: 30 * random.standard_normal(shape) for name, shape in shapes.items()}
    args, _ = lively_params(instance, dict(inputs, im_info=np.zeros((1, 3))))
    args = {name: args[name] for name in flow.list_arguments() if name not in shapes}
    wanted = list(run(flow, inputs, args)[0].values())[0]
    pool = ExecutorPool(flow, mx.cpu(), shapes)
    pool.set_params({name: mx.nd.array(value) for name, value in args.items()}, {}, source='test')
    assert relative_difference(pool.forward(inputs).outputs[0].asnumpy(), wanted) < 1e-4


@pytest.mark.parametrize('task', ['dff_rfcn', 'dff_deeplab'])
def test_ids_and_key_frames_follow_the_flow_of_all_passes(task):
    """What the network hands out is what it warps the feature along."""
    config = tiny_seg.seg_config if task == 'dff_deeplab' else tiny.tiny_config
    cfg = config(task, network__FLOW_PASSES=2)
    instance = get_symbol_instance(cfg)
    symbol = instance.test_networks(cfg)['current']
    inner = symbol.get_internals()
    passes = [inner[name + '_output'] for name in ('Convolution5', 'pass2_Convolution5')]
    whole = instance.flow(symbol, cfg)
    random = np.random.RandomState(0)
    inputs = {name: 30 * random.standard_normal((1, 3, 64, 96)) for name in ('data', 'data_key')}
    names = passes[1].list_arguments()
    shapes = dict(zip(names, passes[1].infer_shape(data=(1, 3, 64, 96), data_key=(1, 3, 64, 96))[0]))
    args = {name: random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]) + 1)
            for name, shape in shapes.items() if name not in inputs}
    first, second, handed_out = (list(run(each, inputs, {name: args[name] for name in each.list_arguments()
                                                         if name in args})[0].values())[0]
                                 for each in passes + [whole])
    assert np.abs(first).max() > 0.01 and np.abs(second).max() > 0.01
    np.testing.assert_allclose(handed_out, 2.5 * (first + second), rtol=1e-4, atol=1e-6)


def test_parameters_of_other_passes_name_the_setting():
    for has, wanted in ((1, 2), (2, 1), (2, 3)):
        given, cfg = (tiny.tiny_config('dff_rfcn', network__FLOW_PASSES=passes) for passes in (has, wanted))
        with pytest.raises(CheckpointError, match=r'^the file: .*The file has a flow network of %d passes, and the '
                           r'settings say %d: set network.FLOW_PASSES to %d, or train from the file with %d '
                           % (has, wanted, has, wanted)):
            VideoDetector(cfg, get_symbol_instance(cfg), *tiny.tiny_params(given), mx.cpu(), source='the file')


def test_parameters_of_another_network_do_not():
    cfg = tiny.tiny_config('dff_rfcn')
    args, auxs = tiny.tiny_params(cfg)
    for name in ('rfcn_cls_weight', 'Convolution5_scale_weight'):
        left = {key: value for key, value in args.items() if key != name}
        with pytest.raises(CheckpointError, match='are missing: %s. Is it a file of this network' % name):
            VideoDetector(cfg, get_symbol_instance(cfg), left, auxs, mx.cpu(), source='the file')
