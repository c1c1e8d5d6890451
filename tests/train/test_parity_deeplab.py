"""DeepLab and DFF-DeepLab with ResNet-101 against values recorded from the original:
outputs to 1e-4, gradient norms to 1e-3."""
import copy
import json

import numpy as np
import pytest

from deeplab.config.config import config as default_config
from tests.helpers.recorded import Recorded
from tests.helpers.symbol_tools import METHODS, network

NAMES = {'deeplab': 'resnet_v1_101_deeplab', 'dff_deeplab': 'resnet_v1_101_flownet_deeplab'}


def built(task, kind, cfg):
    instance = network(task, NAMES[task])
    getattr(instance, METHODS[kind])(cfg)
    return instance


@pytest.fixture(scope='module')
def cfg():
    return copy.deepcopy(default_config)


@pytest.fixture(scope='module')
def recorded(reference):
    return Recorded(reference, ['dff_deeplab_128x256.npz'], (128, 256), (0, 3))


@pytest.fixture(scope='module')
def key_outputs(recorded, cfg):
    inputs = {'data_key': recorded.key, 'feat_key': np.zeros((1, 2048, 1, 1)), 'data': recorded.key}
    return recorded.run(built('dff_deeplab', 'key_test', cfg), inputs)[0]


def same_classes(outputs, recorded, name):
    found = outputs['croped_score_output'].argmax(axis=1)
    assert (found != recorded.values[name]).mean() < 1e-3


@pytest.mark.parametrize('which', ['deeplab.test', 'deeplab.train', 'dff_deeplab.key_test', 'dff_deeplab.cur_test',
                                   'dff_deeplab.train'])
def test_names_and_shapes(reference, cfg, which):
    task, kind = which.split('.')
    wanted = json.loads((reference / 'deeplab_symbols.json').read_text())['%s_%s' % (task, kind)]
    instance = built(task, kind, cfg)
    inputs = ('data', 'data_ref', 'data_key', 'feat_key', 'eq_flag', 'label')
    instance.infer_shape({name: tuple(shape) for name, shape in wanted['arguments'].items() if name in inputs})
    for found, part in ((instance.arg_shape_dict, 'arguments'), (instance.out_shape_dict, 'outputs'),
                        (instance.aux_shape_dict, 'aux')):
        assert {name: list(shape) for name, shape in found.items()} == wanted[part]
    assert list(instance.out_shape_dict) == list(wanted['outputs'])


@pytest.mark.slow
def test_frame_baseline(recorded, cfg):
    inputs = {'data': recorded.key, 'softmax_label': np.zeros((1, 128 * 256))}
    recorded.compare('baseline/', recorded.run(built('deeplab', 'test', cfg), inputs)[0], 1)


def test_key_frame(recorded, key_outputs):
    recorded.compare('key/', key_outputs, 2)
    same_classes(key_outputs, recorded, 'key/argmax')


def test_current_frame(recorded, key_outputs, cfg):
    inputs = {'data_key': recorded.key, 'feat_key': key_outputs['res5c_relu_output'], 'data': recorded.cur}
    outputs, _ = recorded.run(built('dff_deeplab', 'cur_test', cfg), inputs, more=['flow_grid_output'])
    recorded.compare('cur/', outputs, 2)
    same_classes(outputs, recorded, 'cur/argmax')


@pytest.mark.slow
def test_baseline_training(recorded, cfg):
    inputs = {'data': recorded.cur, 'label': recorded.values['label']}
    _, gradients = recorded.run(built('deeplab', 'train', cfg), inputs, train=True)
    recorded.compare_gradients(gradients, 'baseline_train/param_names', 'baseline_train/grad_norm')


@pytest.mark.slow
@pytest.mark.parametrize('eq_flag', [0, 1])
def test_training(recorded, cfg, eq_flag):
    inputs = {'data': recorded.cur, 'data_ref': recorded.key, 'eq_flag': np.array([eq_flag], np.float32),
              'label': recorded.values['label']}
    outputs, gradients = recorded.run(built('dff_deeplab', 'train', cfg), inputs, train=True)
    recorded.compare('train%d/' % eq_flag, {'softmax': outputs['softmax_output']}, 1)
    recorded.compare_gradients(gradients, 'train/param_names', 'train%d/grad_norm' % eq_flag)
