"""Starting from a network of other classes: what is kept, what is made anew, what is refused."""
import json
import logging
from types import SimpleNamespace

import mxnet as mx
import numpy as np
import pytest

from deeplab.symbols.resnet_v1_deeplab import resnet_v1_deeplab
from dff.errors import CheckpointError
from lib.engine.checkpoint import find_checkpoint, load_params, save_checkpoint
from lib.symbols.registry import get_symbol_instance
from lib.train.fine_tuning import drop_class_layers, report_new
from lib.train.trainer import initial_params
from tests.helpers import tiny

CLASS_ARGUMENTS = {'rfcn_cls_weight', 'rfcn_cls_bias'}
ANCHOR_ARGUMENTS = {'%s_%s' % (layer, kind) for layer in ('rpn_cls_score', 'rpn_bbox_pred')
                    for kind in ('weight', 'bias')}


@pytest.fixture
def start(tmp_path, caplog):
    """A function that saves a model of `task` and 3 classes, and starts a training with changed settings from it."""
    def run(task, trained_with=None, values=None, **changes):
        saved = tiny.tiny_config(task)
        prefix = str(tmp_path / 'old')
        tiny.save_params(prefix, saved, epoch=3)
        for name, value in (values or {}).items():
            arrays = mx.nd.load(prefix + '-0003.params')
            arrays.setdefault(name, mx.nd.zeros(2))[-1] = value
            mx.nd.save(prefix + '-0003.params', arrays)
        if trained_with:
            (tmp_path / 'old-0003.json').write_text(json.dumps({'settings': trained_with}))
        cfg = tiny.tiny_config(task, network__pretrained=prefix, network__pretrained_epoch=3,
                               network__pretrained_flow='', **changes)
        height, width = cfg.SCALES[0]
        anchors, cells = cfg.network.NUM_ANCHORS, (height // 16) * (width // 16)
        data = [('data', (1, 3, height, width)), ('im_info', (1, 3)), ('gt_boxes', (1, 4, 5))]
        if task == 'dff_rfcn':
            data += [('data_ref', (1, 3, height, width)), ('eq_flag', (1,))]
        if cfg.TRAIN.AGGREGATE == 'recursive':
            data += [('data_old', (1, 3, height, width)), ('old_flag', (1,))]
        label = [('label', (1, anchors * cells)), ('bbox_target', (1, 4 * anchors, height // 16, width // 16)),
                 ('bbox_weight', (1, 4 * anchors, height // 16, width // 16))]
        loader = SimpleNamespace(provide_data=[data], provide_label=[label])
        instance = get_symbol_instance(cfg)
        instance.get_train_symbol(cfg)
        logger = logging.getLogger('fine_tuning')
        new_prefix = str(tmp_path / 'new')
        with caplog.at_level(logging.INFO):
            checkpoint = find_checkpoint(new_prefix) if cfg.TRAIN.RESUME else None
            args, auxs = initial_params(cfg, instance, loader, [], new_prefix, checkpoint, logger)
        return args, auxs, load_params(prefix, 3), caplog.text
    return run


def same(a, b):
    return a.shape == b.shape and np.array_equal(a.asnumpy(), b.asnumpy())


@pytest.mark.parametrize('task', ['rfcn', 'dff_rfcn'])
def test_other_classes(start, task):
    args, auxs, (old_args, old_auxs), log = start(task, dataset__NUM_CLASSES=2)
    assert {name for name in args if not same(args[name], old_args[name])} == CLASS_ARGUMENTS
    assert all(same(auxs[name], old_auxs[name]) for name in auxs)
    assert args['rfcn_cls_weight'].shape[0] == 2 * 49
    assert 'not taken over: rfcn_cls_bias (196,) -> (98,), rfcn_cls_weight (196, 16, 1, 1) -> (98, 16, 1, 1)' in log
    assert 'newly initialised, 2 parameters of: rfcn_cls' in log


def test_what_parameters_meant_where_they_were_trained_is_said(start, tmp_path):
    before = {'network.FLOW_INPUT_SCALE': 0.25, 'network.ANCHOR_RATIOS': [1.0, 2.0, 3.0]}
    args, _, (old, _), log = start('dff_rfcn', before)
    assert all(same(args[name], old[name]) for name in args)
    assert ('%s was trained with network.FLOW_INPUT_SCALE 0.25, and the settings say 0.5; with network.ANCHOR_RATIOS '
            '[1.0, 2.0, 3.0], and the settings say [0.5, 1.0, 2.0]: training begins with what it learned for that. Set '
            'them back, unless that is meant' % (tmp_path / 'old-0003.params')) in log


def test_what_is_not_taken_over_means_nothing(start):
    before = {'network.FLOW_INPUT_SCALE': 0.25, 'network.ANCHOR_RATIOS': [1.0, 2.0, 3.0]}
    assert 'was trained with' not in start('rfcn', before, network__ANCHOR_RATIOS=[1.0, 2.0], network__NUM_ANCHORS=6)[3]


def test_embeddings_are_new_where_dff_is_trained_on_with_aggregation(start):
    args, _, (old, _), log = start('dff_rfcn', TRAIN__AGGREGATE='recursive', network__EMBED_DIM=16)
    assert {name for name in args if name not in old} == {
        'em_conv%d_%s' % (layer, kind) for layer in (1, 2, 3) for kind in ('weight', 'bias')}
    assert all(same(args[name], old[name]) for name in args if name in old)
    assert 'newly initialised, 6 parameters of: em_conv1, em_conv2, em_conv3' in log
    assert args['em_conv1_weight'].shape == (4, 32, 1, 1) and args['em_conv3_weight'].shape == (16, 4, 1, 1)


def test_other_anchors_and_boxes_by_class(start):
    args, _, (old, _), log = start('rfcn', network__ANCHOR_SCALES=[4, 8, 16, 32], network__NUM_ANCHORS=12,
                                   CLASS_AGNOSTIC=False)
    changed = {name for name in args if not same(args[name], old[name])}
    assert changed == ANCHOR_ARGUMENTS | {'rfcn_bbox_weight', 'rfcn_bbox_bias'}
    assert 'newly initialised, 6 parameters of: rpn_cls_score, rpn_bbox_pred, rfcn_bbox' in log


def test_layers_for_testing_are_not_taken_over(start):
    args, _, (old, _), log = start('rfcn')
    assert 'rfcn_bbox_weight_test' in old and not [name for name in args if name.endswith('_test')]
    assert same(args['rfcn_bbox_weight'], old['rfcn_bbox_weight']) and 'newly' not in log and 'other classes' not in log


@pytest.mark.parametrize('name, value', [('arg:conv1_weight', np.nan), ('aux:bn4a_branch2a_moving_var', np.inf)])
def test_values_that_are_not_finite_are_an_error(start, name, value):
    said = r'old-0003.params: 1 parameters, %s the first, hold values that are not finite' % name[4:]
    with pytest.raises(CheckpointError, match=said):
        start('rfcn', values={name: value})
    start('rfcn', values={'arg:of_another_network': value})


def test_another_backbone_is_an_error(start):
    with pytest.raises(CheckpointError, match='parameter feat_conv_3x3_weight has shape'):
        start('rfcn', dataset__NUM_CLASSES=2, network__DFF_FEAT_DIM=64)


def test_resuming_with_other_classes_is_an_error(start, tmp_path):
    cfg = tiny.tiny_config('rfcn')
    args, auxs = tiny.tiny_params(cfg)
    save_checkpoint(str(tmp_path / 'new'), 1, args, auxs, {'momentum': mx.nd.zeros(1)}, 5)
    with pytest.raises(CheckpointError,
                       match=r'parameter rfcn_cls_weight has shape \(196, 16, 1, 1\), the network needs \(98, 16, 1, '
                             r'1\)'):
        start('rfcn', dataset__NUM_CLASSES=2, TRAIN__RESUME=True)


def test_segmentation_has_class_layers_too():
    arrays = {name: mx.nd.zeros(shape)
              for name, shape in (('score_weight', (19, 8, 1, 1)), ('upsampling_weight', (19, 1, 32, 32)),
                                  ('fc6_weight', (8, 8, 1, 1)), ('res2a_weight', (4, 4)))}
    said = []
    network = resnet_v1_deeplab()
    network.arg_shape_dict = {'score_weight': (5, 8, 1, 1), 'upsampling_weight': (5, 1, 32, 32),
                              'fc6_weight': (4, 8, 1, 1)}
    drop_class_layers(network, arrays, said.append)
    assert sorted(arrays) == ['fc6_weight', 'res2a_weight'] and len(said) == 1 and 'upsampling_weight' in said[0]


def test_long_lists_are_cut():
    said = []
    report_new(['l%d_%s' % (i, kind) for i in range(20) for kind in ('weight', 'bias')], said.append)
    assert said == ['newly initialised, 40 parameters of: %s, ... and 8 more' % ', '.join('l%d' % i for i in range(12))]
    report_new([], said.append)
    assert len(said) == 1
