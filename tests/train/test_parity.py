"""ResNet-101 networks against values recorded from the original: outputs to 1e-4, gradient norms to 1e-3."""
import copy

import numpy as np
import pytest

from dff.boxes import frame_detections
from dff_rfcn.config.config import config as default_config
from tests.helpers.recorded import Recorded
from tests.helpers.symbol_tools import network

KEY_INTERNALS = ('rpn_cls_prob_output', 'rpn_bbox_pred_output', 'rfcn_cls_output')
# Absent where a fused operator computes them: flow_grid, and warping_feat before the scale map.
CUR_INTERNALS = KEY_INTERNALS[:2] + ('flow_grid_output', 'Convolution5_output', 'Convolution5_scale_output')


@pytest.fixture(scope='module')
def recorded(reference):
    values = Recorded(reference, ('dff_rfcn_180x320.npz', 'rfcn_and_boxes.npz'), (180, 320), (0, 5))
    values.cfg, values.im_info = copy.deepcopy(default_config), values.values['im_info']
    return values


@pytest.fixture(scope='module')
def key_outputs(recorded):
    instance = network('dff_rfcn', 'resnet_v1_101_flownet_rfcn')
    instance.get_key_test_symbol(recorded.cfg)
    inputs = {'data_key': recorded.key, 'feat_key': np.zeros((1, 1024, 1, 1)), 'data': recorded.key,
              'im_info': recorded.im_info}
    return recorded.run(instance, inputs, more=KEY_INTERNALS)[0]


@pytest.fixture(scope='module')
def cur_outputs(recorded, key_outputs):
    instance = network('dff_rfcn', 'resnet_v1_101_flownet_rfcn')
    instance.get_cur_test_symbol(recorded.cfg)
    inputs = {'data_key': recorded.key, 'feat_key': key_outputs['feat_conv_3x3_relu_output'], 'data': recorded.cur,
              'im_info': recorded.im_info}
    return recorded.run(instance, inputs, more=CUR_INTERNALS)[0]


@pytest.mark.slow
def test_frame_baseline(recorded):
    instance = network('rfcn', 'resnet_v1_101_rfcn')
    instance.get_test_symbol(recorded.cfg)
    outputs, _ = recorded.run(instance, {'data': recorded.key, 'im_info': recorded.im_info})
    recorded.compare('rfcn/', outputs, 3)


def test_key_frame(recorded, key_outputs):
    recorded.compare('key/', key_outputs, 7)


def test_current_frame(recorded, cur_outputs):
    recorded.compare('cur/', cur_outputs, 7)


@pytest.mark.parametrize('which', ['key', 'cur'])
def test_detections(recorded, key_outputs, cur_outputs, which):
    outputs = {'key': key_outputs, 'cur': cur_outputs}[which]
    found = frame_detections(outputs['rois_output'], outputs['cls_prob_reshape_output'][0],
                             outputs['bbox_pred_reshape_output'][0], recorded.im_info[0], 0.03, 0.3)
    wanted = recorded.values[which + '/detections']
    found = found[:, [0, 2, 3, 4, 5, 1]]
    assert found.shape == wanted.shape
    order = [np.lexsort((np.round(rows[:, 1]), -np.round(rows[:, 5], 4), rows[:, 0])) for rows in (found, wanted)]
    np.testing.assert_allclose(found[order[0]], wanted[order[1]], rtol=1e-4, atol=5e-3)


@pytest.mark.slow
@pytest.mark.parametrize('eq_flag', [0, 1])
def test_training(recorded, eq_flag):
    instance = network('dff_rfcn', 'resnet_v1_101_flownet_rfcn')
    instance.get_train_symbol(recorded.cfg)
    inputs = {name: recorded.values['train/' + name] for name in ('gt_boxes', 'label', 'bbox_target', 'bbox_weight')}
    inputs.update(data=recorded.cur, data_ref=recorded.key, im_info=recorded.im_info,
                  eq_flag=np.array([eq_flag], np.float32))
    outputs, gradients = recorded.run(instance, inputs, train=True)
    recorded.compare('train%d/out/' % eq_flag, outputs, 5)
    recorded.compare_gradients(gradients, 'train/param_names', 'train%d/grad_norm' % eq_flag)
