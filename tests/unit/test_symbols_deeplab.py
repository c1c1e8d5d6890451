"""Composition of the segmentation networks, on small ones."""
import copy

import mxnet as mx
import numpy as np
import pytest

from deeplab.config.config import config as default_config
from dff.errors import ConfigError
from lib.symbols.initialise import initial_value
from tests.helpers.symbol_tools import lively_params, network, relative_difference, run

CLASSES, CHANNELS = 4, 64


@pytest.fixture
def cfg():
    config = copy.deepcopy(default_config)
    config.network.update(depth=18, width=0.125, flow_width=0.125)
    config.dataset.NUM_CLASSES = CLASSES
    return config


def frames(count, height=90, width=118):
    """Frames [count, 3, height, width] of a moving pattern."""
    y, x = np.mgrid[:height, :width]
    return np.stack([[90 * np.sin((x + 3 * t) / (7.0 + c)) * np.cos((y - 2 * t) / (9.0 - c)) for c in range(3)]
                     for t in range(count)]).astype(np.float32)


def deeplab():
    return network('deeplab', 'resnet_v1_deeplab')


def dff():
    return network('dff_deeplab', 'resnet_v1_flownet_deeplab')


def params(instance, inputs):
    """Random parameters with a true upsampling, and scores for which the softmax is not all 0 and 1."""
    args, auxs = lively_params(instance, inputs)
    args['score_weight'] *= 0.01
    args['upsampling_weight'] = initial_value('upsampling_weight', (CLASSES, 1, 32, 32))
    return args, auxs


@pytest.mark.parametrize('scaled', [False, True])
def test_batch_network_equals_key_and_current_networks(cfg, scaled):
    cfg.TEST.KEY_FRAME_INTERVAL, cfg.network.USE_SCALE_MAP = 3, scaled
    data = frames(3)
    batch, key, cur = dff(), dff(), dff()
    batch.get_batch_test_symbol(cfg)
    assert ('Convolution5_scale_weight' in batch.sym.list_arguments()) == scaled
    inputs = {'data_key': data[:1], 'data_other': data[1:]}
    args, auxs = params(batch, inputs)
    together = run(batch.sym, inputs, args, auxs)[0]['croped_score_output']

    key.get_key_test_symbol(cfg)
    first, _ = run(key.sym, {'data_key': data[:1], 'feat_key': np.zeros((1, CHANNELS, 1, 1)), 'data': data[:1]},
                   args, auxs)
    cur.get_cur_test_symbol(cfg)
    feature = first['res5b_relu_output']
    alone = [first] + [run(cur.sym, {'data_key': data[:1], 'feat_key': feature, 'data': data[t:t + 1]}, args, auxs)[0]
                       for t in (1, 2)]
    assert together.shape == (3, CLASSES, 90, 118)
    for t, outputs in enumerate(alone):
        assert relative_difference(together[t], outputs['croped_score_output'][0]) < 1e-4, t
    assert relative_difference(together[1], together[0]) > 1e-3


def test_scale_map_changes_the_result_and_starts_at_one(cfg):
    data, results = frames(2), []
    inputs = {'data_key': data[:1], 'feat_key': np.abs(np.random.RandomState(0).randn(1, CHANNELS, 6, 8)),
              'data': data[1:]}
    for scaled in (False, True):
        cfg.network.USE_SCALE_MAP = scaled
        instance = dff()
        instance.get_cur_test_symbol(cfg)
        args, auxs = params(instance, inputs)
        results.append(run(instance.sym, inputs, args, auxs)[0]['croped_score_output'])
        untrained = {name: initial_value(name, value.shape) if '_scale_' in name else value
                     for name, value in args.items()}
        results.append(run(instance.sym, inputs, untrained, auxs)[0]['croped_score_output'])
    plain, same, scaled, one = results
    assert relative_difference(scaled, plain) > 1e-2 and relative_difference(one, plain) < 1e-6
    assert relative_difference(same, plain) == 0


def test_baseline_and_key_network_give_the_same_scores(cfg):
    data = frames(2)
    key, frame = dff(), deeplab()
    key.get_key_test_symbol(cfg)
    inputs = {'data_key': data, 'feat_key': np.zeros((1, CHANNELS, 1, 1)), 'data': data}
    args, auxs = params(key, inputs)
    scores = run(key.sym, inputs, args, auxs)[0]['croped_score_output']
    frame.get_symbol(cfg, is_train=False)
    probability = run(frame.sym, {'data': data, 'softmax_label': np.zeros((2, 90 * 118))}, args,
                      auxs)[0]['softmax_output']
    exponential = np.exp(scores - scores.max(axis=1, keepdims=True))
    assert 0.01 < (probability.max(axis=1) < 0.99).mean()
    np.testing.assert_allclose(probability, exponential / exponential.sum(axis=1, keepdims=True), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('size', [(9, 17), (64, 96), (89, 90), (97, 81), (33, 100)])
@pytest.mark.parametrize('task, name', [('deeplab', 'resnet_v1_deeplab'), ('deeplab', 'resnet_v1_101_deeplab'),
                                        ('dff_deeplab', 'resnet_v1_flownet_deeplab')])
def test_scores_have_the_size_of_the_image(cfg, task, name, size):
    if '101' in name:
        cfg.network.update(depth=101, width=1.0, flow_width=1.0)
    instance = network(task, name)
    instance.get_train_symbol(cfg)
    shapes = {'data': (2, 3) + size, 'label': (2, 1) + size}
    if task == 'dff_deeplab':
        shapes.update(data_ref=(2, 3) + size, eq_flag=(2,))
    instance.infer_shape(shapes)
    assert instance.out_shape_dict['softmax_output'] == (2, CLASSES) + size


def test_upsampling_is_bilinear(cfg):
    """A score map that is linear in x stays so, away from the border."""
    weight = initial_value('upsampling_weight', (CLASSES, 1, 32, 32))
    ramp = np.tile(np.arange(8.0), (1, CLASSES, 6, 1))
    upsampled = mx.nd.Deconvolution(mx.nd.array(ramp), mx.nd.array(weight), num_filter=CLASSES, num_group=CLASSES,
                                    kernel=(32, 32), stride=(16, 16), pad=(8, 8)).asnumpy()
    np.testing.assert_allclose(upsampled[0, 2, 48, 8:-8], (np.arange(8, 120) - 7.5) / 16, atol=1e-5)


def test_learning_rates_of_the_head(cfg):
    for instance in (deeplab(), dff()):
        attributes = instance.get_train_symbol(cfg).attr_dict()
        rates = {name: float(values['__lr_mult__']) for name, values in attributes.items() if '__lr_mult__' in values}
        assert rates == {'fc6_bias': 2, 'score_bias': 2, 'upsampling_weight': 0}


def test_ignored_pixels_have_no_gradient(cfg):
    instance = deeplab()
    instance.get_train_symbol(cfg)
    data, label = frames(1), np.random.RandomState(0).randint(CLASSES, size=(1, 1, 90, 118))
    gradients = []
    for ignored in (False, True):
        label = np.full_like(label, 255) if ignored else label
        args, auxs = params(instance, {'data': data, 'label': label})
        gradients.append(run(instance.sym, {'data': data, 'label': label}, args, auxs, train=True)[1])
    assert np.abs(gradients[0]['score_weight']).max() > 0
    assert all((gradient == 0).all() for gradient in gradients[1].values())


def test_wrong_sizes_are_explained(cfg):
    cfg.symbol, cfg.TEST.KEY_FRAME_INTERVAL = 'resnet_v1_101_deeplab', 1
    with pytest.raises(ConfigError, match='resnet_v1_101_deeplab has a fixed size.*set symbol to resnet_v1_deeplab'):
        network('deeplab', 'resnet_v1_101_deeplab').get_train_symbol(cfg)
    with pytest.raises(ConfigError, match='KEY_FRAME_INTERVAL is 1; the batch network needs at least 2'):
        dff().get_batch_test_symbol(cfg)
    cfg.network.width = 0.13
    with pytest.raises(ConfigError, match='network.width is 0.13'):
        deeplab().get_train_symbol(cfg)
    cfg.network.depth = 77
    with pytest.raises(ConfigError, match='depth is 77'):
        dff().get_train_symbol(cfg)
    with pytest.raises(ConfigError, match='depth is 77'):
        dff().get_cur_test_symbol(cfg)
