"""network.FEATURE_STRIDE: 8: detection features, flow, anchors and tracks at cells of 8 pixels."""
import mxnet as mx
import numpy as np
import pytest

from dff.errors import CheckpointError, ConfigError
from dff.runtime.onnx_networks import _about
from lib.boxes.anchors import all_anchors, anchor_scales
from lib.boxes.targets import assign_anchors
from lib.config.config import update_from_settings
from lib.config.defaults import detection_defaults, segmentation_defaults
from lib.inference.detector import VideoDetector
from lib.symbols.initialise import initial_value
from lib.symbols.registry import BACKBONES, get_symbol_instance
from tests.helpers import tiny
from tests.helpers.symbol_tools import lively_params, network, relative_difference, run, small

NEW = {'feat_up_weight', 'feat_lateral_weight', 'feat_lateral_bias'}
SIZE = 70, 101      # 9 and 13 cells of 8 pixels, 5 and 7 of 16: neither is twice the other


def settings_of(*settings, defaults=detection_defaults):
    cfg = defaults()
    update_from_settings(cfg, settings)
    return cfg


def both(**changes):
    """Settings of two tiny networks, with features of stride 16 and 8."""
    return [tiny.tiny_config('dff_rfcn', **stride, **changes) for stride in ({}, tiny.STRIDE_8)]


def feature_of(cfg):
    """(instance, symbol) of the feature of a key frame."""
    instance = get_symbol_instance(cfg)
    return instance, instance.group([instance.feature(mx.sym.Variable('data'), cfg)])


def first_params(instance):
    """What a training from nothing would start with, but a running variance of 1."""
    return tuple({name: initial_value(name, shape) for name, shape in shapes.items() if name != 'data'}
                 for shapes in (instance.arg_shape_dict, instance.aux_shape_dict))


def enlarged(maps):
    """[N, C, h, w] at twice the size, bilinear between the middles of cells."""
    for axis in (2, 3):
        size = maps.shape[axis]
        at = np.clip((np.arange(2 * size) + 0.5) / 2 - 0.5, 0, size - 1)
        low = np.floor(at).astype(int)
        share = (at - low).reshape([-1 if each == axis else 1 for each in range(4)])
        near, far = (np.take(maps, np.minimum(low + more, size - 1), axis) for more in (0, 1))
        maps = (1 - share) * near + share * far
    return maps


def test_it_sets_what_follows_from_it():
    network = settings_of('network.FEATURE_STRIDE=8').network
    assert (network.RPN_FEAT_STRIDE, network.RCNN_FEAT_STRIDE) == (8, 8)
    network = settings_of('network.FEATURE_STRIDE=8', 'network.FEATURE_STRIDE=16').network
    assert (network.RPN_FEAT_STRIDE, network.RCNN_FEAT_STRIDE) == (16, 16)
    assert settings_of('network.RPN_FEAT_STRIDE=16').network.FEATURE_STRIDE == 16       # as in the original's files


@pytest.mark.parametrize('settings, message', [
    (['network.FEATURE_STRIDE=8', 'network.RPN_FEAT_STRIDE=16'],
     '--set: network.RPN_FEAT_STRIDE is 16, but a cell of the feature map is 8 pixels wide: leave it out, it follows '
     'network.FEATURE_STRIDE'),
    (['network.RCNN_FEAT_STRIDE=8'],
     '--set: network.RCNN_FEAT_STRIDE is 8, but a cell of the feature map is 16 pixels wide: leave it out, it follows '
     'network.FEATURE_STRIDE'),
    (['network.FEATURE_STRIDE=32'], '--set: network.FEATURE_STRIDE must be 8 or 16, found 32'),
])
def test_settings_that_contradict_it(settings, message):
    with pytest.raises(ConfigError) as error:
        settings_of(*settings)
    assert str(error.value) == message


def test_segmentation_has_no_such_setting():
    with pytest.raises(ConfigError, match="there is no setting 'network.FEATURE_STRIDE'"):
        settings_of('network.FEATURE_STRIDE=8', defaults=segmentation_defaults)
    with pytest.raises(ConfigError, match=r'a cell of the feature map is 16 pixels wide: leave it out$'):
        settings_of('network.RPN_FEAT_STRIDE=8', defaults=segmentation_defaults)


@pytest.mark.parametrize('task', ['rfcn', 'dff_rfcn', 'fgfa_rfcn'])
def test_parameters_of_another_stride(task):
    coarse, fine = (tiny.tiny_config(task, **stride) for stride in ({}, tiny.STRIDE_8))
    message = (r'^the file has features of stride %d \(with.* feat_lateral_weight\), and the settings say %d: set '
               r'network.FEATURE_STRIDE to %d, or train from it with %d \(network.pretrained\)$')
    for cfg, other, has, wanted in ((coarse, fine, 8, 16), (fine, coarse, 16, 8)):
        with pytest.raises(CheckpointError, match=message % (has, wanted, has, wanted)):
            VideoDetector(cfg, get_symbol_instance(cfg), *tiny.tiny_params(other), mx.cpu(), source='the file')


def test_a_backbone_without_a_layer_of_that_stride():
    class Plain:
        def __init__(self, network):
            self.whole = BACKBONES.get('resnet_v1')(network)
            self.feature, self.channels = self.whole.feature, self.whole.channels

    BACKBONES.register('plain')(Plain)
    feature_of(tiny.tiny_config('rfcn', network__backbone='plain'))
    with pytest.raises(ConfigError, match='the backbone plain names no layer of stride 8, with a method '
                                          'layer_of_stride_8: set it to 16'):
        feature_of(tiny.tiny_config('rfcn', network__backbone='plain', **tiny.STRIDE_8))


@pytest.mark.parametrize('depth', [18, 50, 101])
def test_the_layers_that_come_with_it(depth):
    shapes = []
    for cfg in both(network__depth=depth):
        instance, symbol = feature_of(cfg)
        instance.infer_shape({'data': (1, 3) + SIZE})
        shapes.append(instance.arg_shape_dict)
        assert symbol.infer_shape(data=(1, 3) + SIZE)[1] == [(1, 32) + ((5, 7), (9, 13))[len(shapes) - 1]]
    coarse, fine = shapes
    assert set(fine) - set(coarse) == NEW and {name: fine[name] for name in coarse} == coarse
    channels = {18: 16, 50: 64, 101: 64}[depth]       # of stage 3, an eighth wide
    assert fine['feat_lateral_weight'] == (32, channels, 1, 1) and fine['feat_up_weight'] == (32, 1, 4, 4)


def test_it_starts_from_the_feature_of_stride_16():
    data = np.random.RandomState(0).uniform(-100, 100, (1, 3) + SIZE)
    (old, coarse), (new, fine) = map(feature_of, both())
    for instance in (old, new):
        instance.infer_shape({'data': data.shape})
    args, auxs = first_params(new)
    before, after = (list(run(symbol, {'data': data}, args, auxs)[0].values())[0] for symbol in (coarse, fine))
    assert before.std() > 0.1 and relative_difference(after, enlarged(before)[:, :, :9, :13]) < 1e-5
    args['feat_lateral_weight'] = args['feat_lateral_weight'] + 0.05
    assert relative_difference(list(run(fine, {'data': data}, args, auxs)[0].values())[0], after) > 0.01


@pytest.mark.parametrize('task, name', [('rfcn', 'resnet_v1_rfcn'), ('dff_rfcn', 'resnet_v1_flownet_rfcn'),
                                        ('fgfa_rfcn', 'resnet_v1_fgfa_rfcn')])
def test_training_reaches_the_layers_and_what_is_before_them(task, name):
    cfg = small(tiny.tiny_config(task, **tiny.STRIDE_8), FIXED_PARAMS=[])
    instance, random = network(task, name), np.random.RandomState(1)
    symbol = instance.get_train_symbol(cfg)
    targets = assign_anchors((9, 13), np.array([[10, 12, 40, 50, 1], [50, 20, 90, 60, 2]]), np.array([70, 101, 1]),
                             cfg, random)
    assert targets['label'].shape == (1, 6 * 9 * 13) and (targets['label'] == 1).any()
    inputs = {each: random.uniform(-100, 100, (1, 3) + SIZE)
              for each in ('data', 'data_ref', 'data_bef', 'data_aft') if each in symbol.list_arguments()}
    inputs.update(targets, im_info=[[70, 101, 1]], gt_boxes=[[[10, 12, 40, 50, 1], [50, 20, 90, 60, 2]]])
    if task == 'dff_rfcn':
        inputs['eq_flag'] = [0]
    args, auxs = lively_params(instance, inputs)
    outputs, gradients = run(symbol, inputs, args, auxs, train=True)
    assert all(np.isfinite(value).all() for value in outputs.values())
    for name in NEW | {'res3a_branch2a_weight', 'res5b_branch2b_weight', 'feat_conv_3x3_weight'}:
        assert np.abs(gradients[name]).max() > 0, name
    if task != 'rfcn':
        assert np.abs(gradients['Convolution5_weight']).max() > 0


def test_networks_of_several_key_frames():
    cfg = tiny.tiny_config('dff_rfcn', network__EMBED_DIM=8, **tiny.STRIDE_8)
    instance, one, cells = get_symbol_instance(cfg), (1, 3) + SIZE, (32, 9, 13)
    between = instance.get_between_test_symbol(cfg).get_internals()['both_sides_output']
    two = (2,) + one[1:]
    assert between.infer_shape(data=one, data_key=two, feat_key=(2,) + cells, key_share=(1,))[1] == [(1,) + cells]
    every = instance.get_batch_test_symbol(cfg).get_internals()['feat_all_output']
    assert every.infer_shape(data_key=one, data_other=two)[1] == [(3,) + cells]
    cfg.TRAIN.AGGREGATE = 'recursive'
    joined = instance.get_train_symbol(cfg).get_internals()['choose_feat_output']
    assert joined.infer_shape(data=one, data_ref=one, data_old=one, eq_flag=(1,), old_flag=(1,))[1] == [(1,) + cells]


def test_anchors_lie_twice_as_dense_and_keep_their_size():
    coarse, fine = (cfg.network for cfg in both(network__ANCHOR_SCALES=[2.0, 3.5], network__ANCHOR_RATIOS=[1.0]))
    assert anchor_scales(coarse) == (2.0, 3.5) and anchor_scales(fine) == (4.0, 7.0)
    found = all_anchors((2, 2), 8, anchor_scales(fine), (1.0,)).reshape(2, 2, 2, 4)
    sides = found[..., 2:] - found[..., :2] + 1
    assert (sides == np.array([32, 56]).reshape(2, 1)).all()
    middles = (found[..., :2] + found[..., 2:]) / 2
    np.testing.assert_array_equal(middles[:, :, 0], [[[3.5, 3.5], [11.5, 3.5]], [[3.5, 11.5], [11.5, 11.5]]])


def test_proposals_of_the_network_are_its_anchors():
    cfg = tiny.tiny_config('rfcn', network__ANCHOR_SCALES=[2.0], network__ANCHOR_RATIOS=[1.0], network__NUM_ANCHORS=1,
                           TEST__RPN_NMS_THRESH=0.99, TEST__RPN_POST_NMS_TOP_N=12, **tiny.STRIDE_8)
    instance = get_symbol_instance(cfg)
    rois = instance.get_test_symbol(cfg).get_internals()['rois_output']
    shapes = {'data': (1, 3, 64, 96), 'im_info': (1, 3)}
    instance.infer_shape(shapes)
    args, auxs = (({name: np.zeros(shape) for name, shape in part.items() if name not in shapes})
                  for part in (instance.arg_shape_dict, instance.aux_shape_dict))
    found = list(run(rois, {'data': np.zeros(shapes['data']), 'im_info': [[64, 96, 1]]}, args, auxs)[0].values())[0]
    wanted = all_anchors((8, 12), 8, (4.0,), (1.0,)).clip(0, [95, 63, 95, 63])
    assert {tuple(row) for row in found[:, 1:]} <= {tuple(row) for row in wanted}
    assert len({tuple(row) for row in found[:, 1:]}) == 12


def test_what_files_of_onnx_say_of_it():
    texts = {key: '1' for key in ('recognises', 'classes', 'scales', 'image_stride', 'pixel_means', 'nms',
                                  'key_frame_interval', 'key_frame_policy', 'max_per_image')}
    assert _about(texts)['feature_stride'] == 16 and _about(dict(texts, feature_stride='8'))['feature_stride'] == 8
    for damaged in ('0', 'true', '"x"', '[8]'):
        with pytest.raises(CheckpointError, match='have a feature_stride of .*export the model again'):
            _about(dict(texts, feature_stride=damaged))
