"""FGFA R-FCN with ResNet-101 against values recorded from the original: outputs to 1e-4, gradient norms to 1e-3."""
import json

import numpy as np
import pytest

from fgfa_rfcn.task import TASK
from tests.helpers.recorded import Recorded
from tests.helpers.symbol_tools import network, relative_difference

INPUTS = ('data', 'data_bef', 'data_aft', 'data_cache', 'feat_cache', 'im_info', 'gt_boxes', 'label', 'bbox_target',
          'bbox_weight')
METHODS = {'feat_test': 'get_feat_symbol', 'aggregation_test': 'get_aggregation_symbol', 'train': 'get_train_symbol'}
UNUSED = np.zeros((1, 1), np.float32)       # inputs that are handed through


def built(method, reach=9):
    """(instance with a symbol, settings) of the ResNet-101 network."""
    cfg = TASK.new_config()
    cfg.TEST.KEY_FRAME_INTERVAL = reach
    instance = network('fgfa_rfcn', 'resnet_v1_101_flownet_rfcn')
    getattr(instance, method)(cfg)
    return instance


@pytest.fixture(scope='module')
def recorded(reference):
    values = Recorded(reference, ('fgfa_rfcn_180x320.npz',), (180, 320), (4, 0))
    values.im_info = values.values['im_info']
    return values


def tensor(recorded, time):
    return recorded.recipe.to_tensor(recorded.recipe.synthetic_frame(180, 320, time))


def features(recorded, times, **options):
    """conv_embed_output of the frames at `times`, {time: array}; options: of Recorded.run."""
    instance, found = built('get_feat_symbol'), {}
    for time in times:
        inputs = {'data': tensor(recorded, time), 'im_info': recorded.im_info, 'data_cache': UNUSED,
                  'feat_cache': UNUSED}
        found[time] = recorded.run(instance, inputs, **options)[0]['conv_embed_output']
    return found


@pytest.fixture(scope='module')
def window(recorded):
    """Features of the frames of the recorded window of five."""
    return features(recorded, recorded.values['agg/frames'])


@pytest.mark.parametrize('kind', sorted(METHODS))
def test_names_and_shapes_are_the_recorded_ones(kind, reference):
    wanted = json.loads((reference / 'fgfa_rfcn_symbols.json').read_text())[kind]
    instance = built(METHODS[kind])
    instance.infer_shape({name: tuple(shape) for name, shape in wanted['arguments'].items() if name in INPUTS})
    for found, shapes in ((instance.arg_shape_dict, 'arguments'), (instance.out_shape_dict, 'outputs'),
                          (instance.aux_shape_dict, 'aux')):
        assert {name: list(shape) for name, shape in found.items()} == wanted[shapes]


@pytest.mark.slow
def test_feature_and_embedding(recorded, window):
    for time in (0, 4, 8):
        recorded.compare('feat/%d/' % time, {'conv_embed_output': window[time]}, 1)


@pytest.mark.slow
def test_small_variances_show_the_epsilon_of_batch_normalisation(recorded):
    def shrink(args, auxs):
        for name in args:
            if name.endswith('_gamma'):
                args[name] *= np.float32(np.sqrt(1e-3))
        for name in auxs:
            if name.endswith('_var'):
                auxs[name] *= np.float32(1e-3)
    found = recorded.recipe.sample(features(recorded, [4], change=shrink)[4], 8000)
    assert relative_difference(found, recorded.values['smallvar/conv_embed_output']) < 1e-4


def centred(recorded):
    """change(args, auxs) to embeddings of mean 0, whose cosines differ more."""
    return lambda args, auxs: args.update({'em_conv3_bias': recorded.values['centred/em_conv3_bias']})


@pytest.mark.slow
@pytest.mark.parametrize('prefix', ['agg/', 'centred/'])
def test_a_window_of_five(recorded, window, prefix):
    frames = recorded.values['agg/frames']
    if prefix == 'centred/':
        window = features(recorded, frames, change=centred(recorded))
    inputs = {'data': UNUSED, 'im_info': recorded.im_info,
              'data_cache': np.concatenate([tensor(recorded, time) for time in frames]),
              'feat_cache': np.concatenate([window[time] for time in frames])}
    more = ('rpn_cls_prob_output', 'rpn_bbox_pred_output', 'rfcn_cls_output')
    outputs, _ = recorded.run(built('get_aggregation_symbol', 2), inputs, more=more)
    recorded.compare(prefix, outputs, 6 if prefix == 'agg/' else 4)


@pytest.mark.slow
@pytest.mark.parametrize('prefix', ['', 'centred/'])
def test_training(recorded, prefix):
    inputs = {name: recorded.values['train/' + name] for name in ('gt_boxes', 'label', 'bbox_target', 'bbox_weight')}
    inputs.update(zip(('data', 'data_bef', 'data_aft'),
                      (tensor(recorded, time) for time in recorded.values['train/frames'])))
    inputs['im_info'] = recorded.im_info
    change = {'change': centred(recorded)} if prefix else {}
    outputs, gradients = recorded.run(built('get_train_symbol'), inputs, train=True, **change)
    recorded.compare(prefix + 'train/out/', outputs, 3 if prefix else 5)
    recorded.compare_gradients(gradients, 'train/param_names', prefix + 'train/grad_norm')
    place = prefix + 'train/grad/'
    names = [key[len(place):] for key in recorded.values if key.startswith(place)]
    assert len(names) >= 4
    for name in names:
        wanted = recorded.values[place + name]
        found = recorded.recipe.sample(gradients[name], 4000)
        if found.size == wanted.size:      # others were thinned in another way
            assert relative_difference(found, wanted.reshape(found.shape)) < 1e-3, name
