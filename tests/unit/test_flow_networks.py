"""The flow networks that network.flow names: their work, shapes and gradients,
in both tasks and in training of their own."""
import copy
import logging

import mxnet as mx
import numpy as np
import pytest

import deeplab.config.config
import dff_rfcn.config.config
from dff.errors import CheckpointError, ConfigError
from lib.config.defaults import flow_defaults
from lib.engine.checkpoint import load_params
from lib.flow.evaluate import FlowEstimator, end_point_errors, zero_flow
from lib.flow.pairs import draw_pair
from lib.flow.synthetic import SyntheticPairs
from lib.flow.trainer import train_flow
from lib.graph.graph import Graph
from lib.graph.inference_graph import for_inference
from lib.inference.exported import export_model, load_exported
from lib.symbols.flownet import flownet
from lib.symbols.initialise import initial_value
from lib.symbols.registry import FLOW_NETWORKS
from tests.helpers.symbol_tools import lively_params, network, relative_difference, run, small

KINDS = FLOW_NETWORKS.names()
OTHERS = [kind for kind in KINDS if kind != 'flownet']       # flownet has tests of its own, and the reference


def flow_and_scale(kind, width=1.0, channels=32):
    return mx.sym.Group(list(flownet(mx.sym.Variable('data'), mx.sym.Variable('data_ref'), channels, width, kind=kind)))


def multiplications(kind, width=1.0, size=(384, 640)):
    """(of the encoder, of the decoder) for the flow alone: kernels times the places of all images that they see."""
    flow, shapes = flow_and_scale(kind, width)[0], {}
    inner = flow.get_internals()
    shapes = dict(zip(inner.list_outputs(), inner.infer_shape(data=(1, 3) + size, data_ref=(1, 3) + size)[1]))
    encoder = decoder = 0
    for node in Graph(flow).nodes():
        if node.op not in ('Convolution', 'Deconvolution'):
            continue
        places = node.name + '_output' if node.op == 'Convolution' else node.input(0).name + '_output'
        work = int(np.prod(shapes[node.input(1).name])) * int(np.prod(shapes[places]) // shapes[places][1])
        if node.name.startswith(('deconv', 'Convolution', 'upsample_flow')):
            decoder += work
        else:
            encoder += work
    return encoder, decoder


def test_the_work_of_the_papers_variants():
    """FlowNet Half takes a quarter, FlowNet Inception an eighth (arXiv 1611.07715, section 5)."""
    # FlowNet's first layer by hand: 64 kernels of 7 x 7 on 6 channels, at a quarter of the image's sides.
    first = flow_and_scale('flownet')[0].get_internals()['flow_conv1_output']
    assert first.infer_shape(data=(1, 3, 384, 640), data_ref=(1, 3, 384, 640))[1] == [(1, 64, 96, 160)]
    whole = multiplications('flownet')
    half, inception = multiplications('flownet', 0.5), multiplications('flownet_inception')
    assert whole[0] > 64 * 6 * 49 * 96 * 160
    assert sum(half) / sum(whole) == pytest.approx(1 / 4, rel=0.1)
    assert sum(inception) / sum(whole) == pytest.approx(1 / 8, rel=0.1)
    assert inception[0] / whole[0] == pytest.approx(1 / 8, rel=0.1)


def test_the_work_of_layers_that_see_both_images():
    """flownet_correlation's first two, by hand: 64 kernels of 7 x 7 x 3, 128 of 5 x 5 x 64, for each of the images."""
    twice = multiplications('flownet_correlation')[0]
    others = {name: count for name, count in (('corr_redir', 128 * 81 * 48 * 80), ('conv3', 256 * 256 * 25 * 24 * 40),
                                              ('conv3_1', 256 * 256 * 9 * 24 * 40), ('conv4', 512 * 256 * 9 * 12 * 20),
                                              ('conv4_1', 512 * 512 * 9 * 12 * 20))}
    first = 64 * 3 * 49 * 96 * 160 + 128 * 64 * 25 * 48 * 80
    assert twice == 2 * first + sum(others.values())


@pytest.mark.parametrize('size', [(64, 96), (90, 122), (33, 70)])
@pytest.mark.parametrize('kind', KINDS)
def test_shapes(kind, size):
    _, shapes, _ = flow_and_scale(kind, 0.25).infer_shape(data=(2, 3) + size, data_ref=(2, 3) + size)
    height, width = (-(-side // 16) for side in size)
    assert shapes == [(2, 2, height, width), (2, 32, height, width)]


def test_names_that_no_setting_of_the_original_freezes():
    prefixes = tuple(dff_rfcn.config.config.config.network.FIXED_PARAMS)
    for kind in KINDS:
        names = [name for name in flow_and_scale(kind).list_arguments() if not name.startswith('data')]
        assert not [name for name in names if name.startswith(prefixes)] and len(set(names)) == len(names)


def test_branches_of_an_inception_unit():
    """Every branch has the channels of the table, and the unit is their concatenation."""
    inner = flow_and_scale('flownet_inception').get_internals()
    shapes = dict(zip(inner.list_outputs(), inner.infer_shape(data=(1, 3, 128, 128), data_ref=(1, 3, 128, 128))[1]))
    parts = ['conv4_single_1', 'conv4_double_2', 'conv4_triple_3', 'conv4_pooled']
    assert [shapes[part + '_relu_output'] for part in parts] == [(1, filters, 4, 4) for filters in (32, 128, 32, 64)]
    assert shapes['conv4_output'] == (1, 256, 4, 4) and shapes['conv6_1_output'] == (1, 512, 1, 1)
    assert shapes['conv4_triple_2_weight'] == (32, 28, 3, 3) and 'conv4_1_pooled_weight' not in shapes


def test_correlation_compares_what_the_same_layers_made():
    """An image matches itself where it is, and two images match in both directions alike."""
    matches = flow_and_scale('flownet_correlation', 0.25)[0].get_internals()['corr_output']
    names, (shapes, _, _) = matches.list_arguments(), matches.infer_shape(data=(1, 3, 64, 96), data_ref=(1, 3, 64, 96))
    params = {name: initial_value(name, shape) for name, shape in zip(names, shapes) if not name.startswith('data')}
    one, other = np.random.RandomState(0).uniform(-100, 100, (2, 1, 3, 64, 96))

    def compare(current, reference):
        return run(matches, {'data': current, 'data_ref': reference}, params)[0]['corr_output'][0]
    middle, away = 40, 9 * 2 + 3        # 2 cells below and 3 to the right
    assert compare(one, one)[middle].min() > 0
    there, back = compare(one, other)[middle + away, :-2, :-3], compare(other, one)[middle - away, 2:, 3:]
    assert np.abs(there).max() > 0.1 and relative_difference(there, back) < 1e-5


def test_what_does_not_exist_is_listed():
    message = ("network.flow: there is no flow network called 'flownet2'; "
               "choose from flownet, flownet_correlation, flownet_inception")
    with pytest.raises(ConfigError, match=message):
        flow_and_scale('flownet2')
    with pytest.raises(ConfigError, match='network.flow_width is 0.125, which makes 0.5 of 4 channels'):
        flow_and_scale('flownet_inception', 0.125)


def test_the_originals_networks_keep_their_flow_network():
    cfg = copy.deepcopy(dff_rfcn.config.config.config)
    cfg.symbol, cfg.network.flow = 'resnet_v1_101_flownet_rfcn', 'flownet_inception'
    with pytest.raises(ConfigError, match='has a fixed size: .*flow flownet, .* set symbol to resnet_v1_flownet_rfcn'):
        network('dff_rfcn', cfg.symbol).get_train_symbol(cfg)


# ---- in the tasks

@pytest.fixture(params=OTHERS)
def detection(request):
    """Settings of a small DFF R-FCN with another flow network."""
    return small(copy.deepcopy(dff_rfcn.config.config.config), flow=request.param, flow_width=0.25)


@pytest.fixture(params=OTHERS)
def segmentation(request):
    """Settings of a small DFF DeepLab with another flow network."""
    cfg = copy.deepcopy(deeplab.config.config.config)
    cfg.network.update(depth=18, width=0.125, flow=request.param, flow_width=0.25, USE_SCALE_MAP=True)
    cfg.dataset.NUM_CLASSES = 4
    return cfg


def images(*names, height=90, width=122):
    rng = np.random.RandomState(3)
    return {name: 30 * rng.randn(1, 3, height, width) for name in names}


def assert_alive(instance, inputs, kind, shares):
    """One forward and backward: all finite, and every layer of the flow network learns.
    shares: outputs that are no losses."""
    args, auxs = lively_params(instance, inputs)
    outputs, gradients = run(instance.sym, inputs, args, auxs, train=True)
    assert all(np.isfinite(value).all() for value in list(outputs.values()) + list(gradients.values()))
    flow = [name for name in flow_and_scale(kind).list_arguments() if not name.startswith('data')]
    assert len(flow) >= 30 and not [name for name in flow if not gradients[name].any()]
    assert shares <= set(outputs)


def test_detection_trains_it(detection):
    instance = network('dff_rfcn', 'resnet_v1_flownet_rfcn')
    instance.get_train_symbol(detection)
    label = np.full((1, 6 * 6 * 8), -1.0)
    label[0, :40], label[0, 40:80] = 1, 0
    inputs = dict(images('data', 'data_ref'), eq_flag=[0], im_info=[[90, 122, 1]],
                  gt_boxes=[[[10, 12, 50, 60, 1], [60, 20, 110, 80, 3]]], label=label,
                  bbox_target=np.ones((1, 24, 6, 8)), bbox_weight=np.ones((1, 24, 6, 8)))
    assert_alive(instance, inputs, detection.network.flow, {'rpn_cls_prob_output', 'cls_prob_reshape_output'})


def test_segmentation_trains_it(segmentation):
    instance = network('dff_deeplab', 'resnet_v1_flownet_deeplab')
    instance.get_train_symbol(segmentation)
    label = np.random.RandomState(0).randint(0, 4, (1, 1, 90, 122))
    assert_alive(instance, dict(images('data', 'data_ref'), eq_flag=[0], label=label), segmentation.network.flow,
                 {'softmax_output'})


@pytest.mark.parametrize('width', [0.25, 0.5])
def test_rewritten_for_inference_it_computes_the_same(detection, width):
    """Branches of 1 to 128 channels, narrow ones widened with zeros between others that are not."""
    detection.network.flow_width = width
    instance = network('dff_rfcn', 'resnet_v1_flownet_rfcn')
    symbol = instance.get_cur_test_symbol(detection)
    inputs = dict(images('data', 'data_key'), im_info=[[90, 122, 1]],
                  feat_key=np.abs(np.random.RandomState(0).randn(1, 32, 6, 8)))
    args, auxs = lively_params(instance, inputs)
    fast = for_inference(symbol, {name: np.shape(value) for name, value in inputs.items()}, args, auxs)
    plain, other = (list(run(each, inputs, *params)[0].values())
                    for each, params in ((symbol, (args, auxs)), (fast[0], fast[1:])))
    assert len(plain) == len(other) == 3
    for a, b in zip(plain, other):
        assert relative_difference(b, a) < 1e-4


def test_exported_it_needs_no_settings(detection, tmp_path):
    instance = network('dff_rfcn', 'resnet_v1_flownet_rfcn')
    detection.symbol = 'resnet_v1_flownet_rfcn'
    instance.get_batch_test_symbol(detection)
    shapes = {'data_key': (1, 3, 64, 96), 'data_other': (9, 3, 64, 96), 'im_info': (10, 3)}
    args, auxs = lively_params(instance, {name: np.zeros(shape) for name, shape in shapes.items()})
    arrays = [{name: mx.nd.array(value) for name, value in values.items()} for values in (args, auxs)]
    export_model(detection, instance, *arrays, ['a', 'b', 'c'], str(tmp_path / 'model'), 'tiny')
    exported, (folded, _), _ = load_exported(str(tmp_path / 'model'), instance)
    inputs = images('data', 'data_key')
    flows = [run(symbol.get_internals()['Convolution5_output'], inputs, values)[0].popitem()[1] for symbol, values in (
        (instance.get_cur_test_symbol(detection), args), (exported.test_networks(None)['current'], folded))]
    assert np.abs(flows[0]).max() > 0 and relative_difference(flows[1], flows[0]) < 1e-5


# ---- trained on its own

@pytest.mark.slow
@pytest.mark.parametrize('kind, message', [
    ('flownet_inception', '16 of the 46 parameters of the network are missing: conv2_weight'),
    ('flownet_correlation', '20 of the 46 parameters of the network are missing: conv5_weight')])
def test_it_learns_from_synthetic_pairs(kind, message, tmp_path):
    config = flow_defaults()
    config.SCALES = [(64, 96)]
    config.network.update(flow=kind, flow_width=0.25)
    # A few pairs again and again: whether it can learn, not how well.
    pairs = [draw_pair(SyntheticPairs((64, 96), 6.0), 'train', number, 0) for number in range(2)]
    path, logger = tmp_path / 'flow-0000.params', logging.getLogger('test')
    records = train_flow(lambda rng: pairs[rng.randint(2)], config, str(path), 120, 4, 0.003, logger, mx.cpu(),
                         frequent=20)
    assert records[-1].error < 0.6 * records[-1].zero
    params = load_params(str(tmp_path / 'flow'), 0)[0]
    errors = end_point_errors({'net': FlowEstimator(config, params, mx.cpu()), 'none': zero_flow}, pairs, 2)
    assert errors['net']['coarse'] < 0.7 * errors['none']['coarse']
    config.network.update(flow='flownet', flow_width=0.125)
    with pytest.raises(CheckpointError, match='flow-0000.params: ' + message):
        FlowEstimator(config, params, mx.cpu(), str(path))


def test_a_flow_network_of_ones_own_has_the_values_that_it_is_built_for(monkeypatch):
    """MXNet alone would fuse the convolution with the activation, and add the activation to itself."""
    def own(data, data_ref, channels, **settings):
        conv = mx.sym.Convolution(data - data_ref, num_filter=2, kernel=(1, 1), name='conv')
        return mx.sym.Activation(conv, act_type='relu') + conv, None

    monkeypatch.setattr('lib.flow.evaluate.flownet', own)
    weight = np.zeros((2, 3, 1, 1), np.float32)
    weight[:, 0, 0, 0] = 1, -1
    params = {'conv_weight': mx.nd.array(weight), 'conv_bias': mx.nd.zeros(2)}
    flow = FlowEstimator(small(copy.deepcopy(dff_rfcn.config.config.config)), params, mx.cpu())
    current, reference = np.full((8, 8, 3), 9, np.uint8), np.full((8, 8, 3), 4, np.uint8)
    values = flow.cells(current, reference)
    assert np.array_equal(values[:, 0, 0], [10, -5])
