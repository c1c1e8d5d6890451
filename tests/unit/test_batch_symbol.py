"""Several images at a time are the same as one after another, in testing and in training."""
import copy

import numpy as np
import pytest

from dff.errors import ConfigError
from dff_rfcn.config.config import config as default_config
from lib.boxes.targets import assign_anchors
from tests.helpers.symbol_tools import lively_params, network, relative_difference, run, small

HEIGHT, WIDTH = 90, 118   # feature map 6 x 8: odd sizes inside the flow network


@pytest.fixture
def cfg():
    return small(copy.deepcopy(default_config))


@pytest.fixture
def frames():
    """Five frames [5, 3, H, W] of a moving pattern."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([[90 * np.sin((x + 3 * t) / (7.0 + c)) * np.cos((y - 2 * t) / (9.0 - c)) for c in range(3)]
                     for t in range(5)]).astype(np.float32)


def dff():
    return network('dff_rfcn', 'resnet_v1_flownet_rfcn')


def test_batch_network_equals_key_and_current_networks(cfg, frames):
    cfg.TEST.KEY_FRAME_INTERVAL = 5
    info = np.array([[HEIGHT, WIDTH, 1.0]] * 5, np.float32)
    info[3:, 0] = 70      # a frame of its own size is clipped to that size
    batch, key, cur = dff(), dff(), dff()
    batch.get_batch_test_symbol(cfg)
    inputs = {'data_key': frames[:1], 'data_other': frames[1:], 'im_info': info}
    args, auxs = lively_params(batch, inputs)
    together, _ = run(batch.sym, inputs, args, auxs)

    key.get_key_test_symbol(cfg)
    first, _ = run(key.sym, {'data_key': frames[:1], 'feat_key': np.zeros((1, 32, 1, 1)), 'data': frames[:1],
                             'im_info': info[:1]}, args, auxs)
    cur.get_cur_test_symbol(cfg)
    feature = first['feat_conv_3x3_relu_output']
    alone = [first] + [run(cur.sym, {'data_key': frames[:1], 'feat_key': feature, 'data': frames[t:t + 1],
                                     'im_info': info[t:t + 1]}, args, auxs)[0] for t in range(1, 5)]
    assert together['rois_output'].shape == (200, 5)
    rois = together['rois_output'].reshape(5, 40, 5)
    for t, outputs in enumerate(alone):
        assert (rois[t, :, 0] == t).all()
        np.testing.assert_allclose(rois[t, :, 1:], outputs['rois_output'][:, 1:], rtol=1e-4, atol=1e-3)
        for name in ('cls_prob_reshape_output', 'bbox_pred_reshape_output'):
            assert relative_difference(together[name][t], outputs[name][0]) < 1e-4, (t, name)
    assert relative_difference(together['cls_prob_reshape_output'][1], together['cls_prob_reshape_output'][0]) > 1e-3


def test_batch_network_needs_two_frames(cfg):
    cfg.TEST.KEY_FRAME_INTERVAL = 1
    with pytest.raises(ConfigError, match='TEST.KEY_FRAME_INTERVAL is 1; the batch network needs at least 2'):
        dff().get_batch_test_symbol(cfg)


def training_inputs(cfg, frames):
    """Inputs of two images, with different numbers of boxes but the same number of labelled anchors."""
    boxes = np.full((2, 3, 5), -1, np.float32)
    boxes[0] = [[10, 12, 50, 60, 1], [60, 20, 110, 80, 3], [5, 50, 40, 88, 2]]
    boxes[1, 0] = [30, 30, 90, 75, 2]
    cfg.TRAIN.RPN_BATCH_SIZE = 24
    targets = [assign_anchors((6, 8), rows, (HEIGHT, WIDTH, 1), cfg, np.random.RandomState(3)) for rows in boxes]
    inputs = {name: np.concatenate([target[name] for target in targets]) for name in targets[0]}
    assert ((inputs['label'] >= 0).sum(axis=1) == 24).all()
    inputs.update(data=frames[1:3], data_ref=frames[3:], eq_flag=np.array([0, 1], np.float32), gt_boxes=boxes,
                  im_info=np.array([[HEIGHT, WIDTH, 1]] * 2, np.float32))
    return inputs


def train(cfg, inputs):
    cfg.TRAIN.BATCH_IMAGES = len(inputs['data'])
    instance = dff()
    instance.get_train_symbol(cfg)
    args, auxs = lively_params(instance, inputs)
    return run(instance.sym, inputs, args, auxs, train=True)


@pytest.mark.parametrize('ohem', [True, False])
def test_gradient_of_a_batch_is_the_mean_over_its_images(cfg, frames, ohem):
    cfg.TRAIN.ENABLE_OHEM = ohem
    cfg.network.BN_GLOBAL_STATS = True     # batch statistics would tie the images together
    inputs = training_inputs(cfg, frames)
    outputs, gradients = train(cfg, inputs)
    assert outputs['cls_prob_reshape_output'].shape == (2, 43, 4) and outputs['blockgrad0_output'].shape == (2, 43)
    alone = []
    for image in range(2):
        single = {name: value[image:image + 1] for name, value in inputs.items()}
        alone.append(train(cfg, single))
        for name in ('rpn_cls_prob_output', 'cls_prob_reshape_output', 'bbox_loss_reshape_output', 'blockgrad0_output'):
            assert relative_difference(outputs[name][image], alone[image][0][name][0]) < 1e-4, name
    valid = [(part[0]['blockgrad0_output'] >= 0).sum() for part in alone]
    assert not ohem or valid == [16, 16]
    for name, gradient in gradients.items():
        mean = (alone[0][1][name] + alone[1][1][name]) / 2
        tolerance = 1e-3 if valid[0] == valid[1] else 0.1   # the softmax is a mean over all valid RoIs of the batch
        assert np.abs(gradient - mean).max() <= tolerance * np.abs(mean).max() + 1e-7, name


def test_learned_statistics(cfg, frames):
    instance = dff()
    cfg.TRAIN.BATCH_IMAGES = 2
    inputs = training_inputs(cfg, frames)
    outputs, gradients = train(cfg, inputs)
    assert all(np.isfinite(value).all() for value in list(outputs.values()) + list(gradients.values()))
    dead = {name for name, value in gradients.items() if not value.any()}
    assert not dead
    normalisations = [node for node in instance.get_train_symbol(cfg).attr_dict().items()
                      if 'use_global_stats' in node[1]]
    assert normalisations and all(node[1]['use_global_stats'] == 'False' for node in normalisations)


def test_flow_is_not_used_where_the_frames_coincide(cfg, frames):
    cfg.network.BN_GLOBAL_STATS = True
    inputs = training_inputs(cfg, frames)
    inputs['eq_flag'][:] = 1
    _, gradients = train(cfg, inputs)
    flow = [name for name in gradients if name.startswith(('flow_conv1', 'deconv', 'Convolution', 'upsample_flow'))]
    assert len(flow) == 30
    assert not any(gradients[name].any() for name in flow)
    assert gradients['feat_conv_3x3_weight'].any()
