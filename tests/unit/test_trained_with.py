"""What is recorded of the training of parameters, against the settings that they are used with."""
import json
import logging
from types import SimpleNamespace

import mxnet as mx
import pytest

from dff.errors import CheckpointError
from lib.engine.checkpoint import save_checkpoint
from lib.engine.trained_with import (MEANING, check_flow, check_training, report_other_training, with_defaults,
                                     write_settings)
from lib.symbols.registry import get_symbol_instance
from lib.train.resume import find_start, settings_of
from tests.helpers import tiny, tiny_seg

NAMES = ['cat', 'dog', 'bird']
ADVICE = ': set what it was trained with, or train from it with these settings (network.pretrained)'
# A value of each, another one, and the tasks in which it counts.
OTHER = [
    ('network.FLOW_INPUT_SCALE', 0.25, {'dff_rfcn', 'fgfa_rfcn', 'dff_deeplab'}),
    ('network.flow', 'flownet_correlation', {'dff_rfcn', 'fgfa_rfcn', 'dff_deeplab'}),
    ('network.PIXEL_MEANS', [0.0, 0.0, 0.0], {'rfcn', 'dff_rfcn', 'fgfa_rfcn', 'deeplab', 'dff_deeplab'}),
    ('network.backbone', 'mine', {'rfcn', 'dff_rfcn', 'fgfa_rfcn', 'deeplab', 'dff_deeplab'}),
    ('network.STRIDE_IN_3X3', True, {'rfcn', 'dff_rfcn', 'fgfa_rfcn', 'deeplab', 'dff_deeplab'}),
    ('network.ANCHOR_SCALES', [4.0, 8.0, 16.0], {'rfcn', 'dff_rfcn', 'fgfa_rfcn'}),
    ('network.ANCHOR_RATIOS', [0.5, 1.0, 3.0], {'rfcn', 'dff_rfcn', 'fgfa_rfcn'}),
    ('network.NORMALIZE_RPN', False, {'rfcn', 'dff_rfcn', 'fgfa_rfcn'}),
    ('network.ANCHOR_MEANS', [0.1, 0.0, 0.0, 0.0], {'rfcn', 'dff_rfcn', 'fgfa_rfcn'}),
    ('network.ANCHOR_STDS', [0.1, 0.1, 0.2, 0.2], {'rfcn', 'dff_rfcn', 'fgfa_rfcn'}),
    ('network.BN_EPS', 1e-5, {'fgfa_rfcn'}),
    ('network.USE_SCALE_MAP', True, {'dff_deeplab'}),
]
TASKS = 'rfcn', 'dff_rfcn', 'fgfa_rfcn', 'deeplab', 'dff_deeplab'


def config_of(task):
    return (tiny_seg.seg_config if 'deeplab' in task else tiny.tiny_config)(task)


def trained(tmp_path, config, classes=NAMES, **settings):
    """Prefix of a record as training writes it, of epoch 1, with changed settings {section__key: value}."""
    recorded = dict(settings_of(config), **{key.replace('__', '.'): value for key, value in settings.items()})
    (tmp_path / 'm-0001.json').write_text(json.dumps({'settings': recorded, 'data': {'classes': classes}}))
    return str(tmp_path / 'm')


def check(config, prefix, classes=NAMES, epoch=1):
    check_training(config, get_symbol_instance(config), classes, prefix, epoch)


@pytest.mark.parametrize('task', TASKS)
@pytest.mark.parametrize('key, value, tasks', OTHER)
def test_settings_by_which_parameters_mean_something_else(tmp_path, caplog, task, key, value, tasks):
    config = config_of(task)
    check(config, trained(tmp_path, config))
    prefix = trained(tmp_path, config, **{key: value})
    if task in tasks:
        with pytest.raises(CheckpointError) as error:
            check(config, prefix)
        section, name = key.split('.')
        assert str(error.value) == '%s-0001.params was trained with %s %r, and the settings say %r%s' % (
            prefix, key, value, json.loads(json.dumps(config[section][name])), ADVICE)
    else:
        check(config, prefix)
    assert not caplog.messages


def test_all_of_them_are_tested():
    assert {key for key, _, _ in OTHER} == {key for key in MEANING if not key.startswith('TRAIN.')}


def test_several_and_their_order(tmp_path):
    config = tiny.tiny_config('dff_rfcn')
    prefix = trained(tmp_path, config, ['cat', 'bird', 'dog'], network__flow='other', network__ANCHOR_RATIOS=[1.0])
    with pytest.raises(CheckpointError) as error:
        check(config, prefix)
    assert str(error.value) == (
        prefix + "-0001.params was trained with network.flow 'other', and the settings say 'flownet'; with "
        "network.ANCHOR_RATIOS [1.0], and the settings say [0.5, 1.0, 2.0]; with 'bird' as class 2, and the settings "
        "say 'dog'" + ADVICE)


@pytest.mark.parametrize('task, then, now, message', [
    ('rfcn', NAMES, ['cat', 'dog', 'fish'], "'bird' as class 3, and the settings say 'fish'"),
    ('rfcn', NAMES, ['cat', 'dog'], ''),         # shapes tell
    ('rfcn', 'cat', NAMES, ''), ('rfcn', [1, 2, 3], NAMES, ''),
    ('deeplab', ['a 1 2 3', 'b 4 5 6'], ['b 4 5 6', 'a 1 2 3'], "'a' as class 0, and the settings say 'b'"),
    ('deeplab', ['a 1 2 3', 'b 4 5 6'], ['a 9 9 9', 'b 8 8 8'], '')])       # colours mean nothing
def test_classes(tmp_path, task, then, now, message):
    config = config_of(task)
    prefix = trained(tmp_path, config, then)
    if not message:
        check(config, prefix, now)
        return
    with pytest.raises(CheckpointError) as error:
        check(config, prefix, now)
    assert str(error.value) == '%s-0001.params was trained with %s%s' % (prefix, message, ADVICE)


@pytest.mark.parametrize('record', [
    None, '{', '[]', '{}', '{"settings": []}', '{"settings": {}}', '{"settings": null, "data": null}', '{"data": []}',
    '{"data": {"classes": null}}', '{"settings": {"network.pretrained": "x", "network.FIXED_PARAMS": []}}'])
def test_nothing_is_recorded(tmp_path, caplog, record):
    """As of files of the original code: they are taken, with the settings that there are."""
    config = tiny.tiny_config('dff_rfcn', network__EMBED_SHARPNESS=30.0)
    if record is not None:
        (tmp_path / 'm-0001.json').write_text(record)
    check(config, str(tmp_path / 'm'))
    check(config, str(tmp_path / 'm'), epoch='best')
    assert not caplog.messages


def test_a_record_without_an_entry_means_the_default(tmp_path):
    config = tiny.tiny_config('dff_rfcn', network__FLOW_INPUT_SCALE=0.25)
    (tmp_path / 'm-0001.json').write_text(json.dumps({'settings': {'network.depth': config.network.depth}}))
    with pytest.raises(CheckpointError, match='FLOW_INPUT_SCALE 0.5, and the settings say 0.25'):
        check(config, str(tmp_path / 'm'))
    config.network.FLOW_INPUT_SCALE = 0.5
    check(config, str(tmp_path / 'm'))
    assert with_defaults({'network.FLOW_INPUT_SCALE': 0.25})['network.FLOW_INPUT_SCALE'] == 0.25


def test_training_does_not_resume_with_another_meaning(tmp_path):
    """A record of before there was the setting means what was done then."""
    config, prefix = tiny.tiny_config('dff_rfcn', TRAIN__RESUME=True, TRAIN__end_epoch=9), str(tmp_path / 'm')
    settings = settings_of(config)
    settings.pop('network.FLOW_INPUT_SCALE')
    save_checkpoint(prefix, 1, {'w': mx.nd.ones(2)}, {}, states={}, extra={'settings': settings})
    group, log = SimpleNamespace(check_same=lambda *same: None), logging.getLogger('resume')
    assert find_start(config, prefix, log, group).epoch == 1
    config.network.FLOW_INPUT_SCALE = 0.25
    with pytest.raises(CheckpointError, match='m-0001.params is of a run with other settings: network.FLOW_INPUT_SCALE '
                                              '0.5 -> 0.25. That changes what is learned'):
        find_start(config, prefix, log, group)


def test_a_record_of_another_file_counts_for_nothing(tmp_path):
    config = tiny.tiny_config('dff_rfcn')
    prefix, arrays = str(tmp_path / 'm'), ({'w': mx.nd.ones(2)}, {})
    settings = dict(settings_of(config), **{'network.FLOW_INPUT_SCALE': 0.25})
    save_checkpoint(prefix, 1, *arrays, states={}, extra={'settings': settings}, averages=arrays)
    for name in prefix, prefix + '-ema':
        with pytest.raises(CheckpointError, match='^%s-0001.params was trained with network.FLOW_INPUT' % name):
            check(config, name)
        save_checkpoint(name, 1, {'w': mx.nd.zeros(2)}, {})      # the parameters alone
        check(config, name)


@pytest.mark.parametrize('aggregate, lines', [('recursive', 1), ('none', 0)])
def test_other_settings_are_said(tmp_path, caplog, aggregate, lines):
    config, prefix = tiny.tiny_config('dff_rfcn'), str(tmp_path / 'tiny')
    record = {'TRAIN.AGGREGATE': aggregate, 'network.EMBED_SHARPNESS': 30.0, 'network.pretrained': 'other',
              'network.PIXEL_MEANS': list(config.network.PIXEL_MEANS)}
    (tmp_path / 'tiny-0001.json').write_text(json.dumps({'settings': record}))
    for name, epoch in ((prefix, 1), (prefix + '-ema', 1), (prefix, 2), (prefix, 'best')):
        caplog.clear()
        check(config, name, epoch=epoch)
        assert len(caplog.messages) == (lines if epoch == 1 else 0)
        if caplog.messages:
            assert caplog.messages == [
                '%s-0001.params was trained with other settings: network.EMBED_SHARPNESS 30.0, now 1.0. Set them back, '
                'unless that is meant' % name]


FLOW, BOXES, HEAD = {'Convolution5_weight'}, {'rfcn_bbox_weight'}, {'rfcn_cls_weight'}


@pytest.mark.parametrize('settings, names, message', [
    ({'network__FLOW_INPUT_SCALE': 0.25}, FLOW, 'network.FLOW_INPUT_SCALE 0.25, and the settings say 0.5'),
    ({'network__FLOW_INPUT_SCALE': 0.25}, BOXES, None),      # an R-FCN, from which DFF is trained
    ({'network__PIXEL_MEANS': [0, 0, 0]}, BOXES, 'network.PIXEL_MEANS [0, 0, 0], and the settings say [103.06, 115.9, '
                                                 '123.15]'),
    ({'TRAIN__BBOX_STDS': [1, 1, 1, 1]}, BOXES, 'TRAIN.BBOX_STDS [1, 1, 1, 1], and the settings say [0.1, 0.1, 0.2, '
                                                '0.2]'),
    ({'TRAIN__BBOX_STDS': [1, 1, 1, 1]}, FLOW, None),
    ({'classes': ['dog', 'cat', 'bird']}, HEAD, "'dog' as class 1, and the settings say 'cat'"),
    ({'classes': ['dog', 'cat', 'bird']}, FLOW, None)])
def test_what_training_begins_with(tmp_path, settings, names, message):
    config, lines = tiny.tiny_config('dff_rfcn'), []
    prefix = trained(tmp_path, config, **settings)
    report_other_training(config, get_symbol_instance(config), NAMES, prefix, 1, names, lines.append)
    assert lines == ([] if message is None else [
        '%s-0001.params was trained with %s: training begins with what it learned for that. Set them back, unless that '
        'is meant' % (prefix, message)])


def test_flow_networks_have_a_record(tmp_path):
    config = tiny.tiny_config('dff_rfcn', network__FLOW_INPUT_SCALE=0.25)
    prefix = str(tmp_path / 'flow')
    save_checkpoint(prefix, 0, {'Convolution5_weight': mx.nd.ones(2)}, {})
    check_flow(config, prefix)
    write_settings(prefix + '-0000.params', config)
    check_flow(config, prefix)
    config.network.FLOW_INPUT_SCALE = 0.5
    with pytest.raises(CheckpointError, match='flow-0000.params was trained with network.FLOW_INPUT_SCALE 0.25, and'):
        check_flow(config, prefix)
