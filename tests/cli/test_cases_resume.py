"""Where training starts, and what --resume makes of other settings and data."""

import json
import re
import shutil

import mxnet as mx
import numpy as np
import pytest

from lib.engine.checkpoint import save_checkpoint
from tests.helpers import tiny
from tests.helpers.training_command import BATCHES, Training, make_data


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp('data'))


@pytest.fixture
def train(tmp_path, data, monkeypatch, capsys):
    return Training(tmp_path, data, monkeypatch, capsys)


# ---- begin_epoch without RESUME


def test_the_schedule_counts_from_epoch_0(train):
    train.copy_parameters(2)
    text = train(
        'TRAIN.begin_epoch=2',
        'TRAIN.end_epoch=4',
        'network.pretrained=%s' % train.prefix,
        'network.pretrained_epoch=2',
    )
    assert (
        'epochs 3 to 4 are trained, from learning rate 0.0001 on; TRAIN.begin_epoch without '
        'TRAIN.RESUME: from parameters alone, with new momentum'
    ) in text
    assert (
        'epoch 3 batch 4/4' in text and 'epoch 4 batch 4/4' in text and 'epoch 1 batch' not in text
    )
    with open('%s-0004.json' % train.prefix) as stream:
        assert json.load(stream)['num_update'] == 4 * BATCHES


def test_the_rate_is_that_of_the_epoch(train):
    """One step from the same parameters at rates of 0.001 and, two epochs later, 0.0001: a tenth as far."""
    train.copy_parameters(2)
    before = train.params(2)
    moved = []
    for begin in (0, 2):
        train(
            'TRAIN.begin_epoch=%d' % begin,
            'TRAIN.end_epoch=%d' % (begin + 1),
            'network.pretrained=%s' % train.prefix,
            'network.pretrained_epoch=2',
            'TRAIN.momentum=0',
            'TRAIN.wd=0',
            'TRAIN.SHUFFLE=false',
            'output_path=%s-%d' % (train.prefix, begin),
        )
        after = train.params(
            begin + 1, '%s-%d/tiny_rfcn/VID_train_15frames/tiny' % (train.prefix, begin)
        )
        moved.append(np.abs(after['arg:rfcn_cls_bias'] - before['arg:rfcn_cls_bias']).sum())
    assert 5 < moved[0] / moved[1] < 20


def test_nothing_to_train_is_an_error(train):
    text = train('TRAIN.begin_epoch=2', 'TRAIN.end_epoch=2', status=2)
    assert (
        'TRAIN.begin_epoch is 2 and TRAIN.end_epoch 2: no epoch is left to train; raise TRAIN.end_epoch'
        in text
    )


# ---- A-7: --resume beside parameters without a record


def advised(text):
    """The settings that a message advises."""
    found = re.search(
        r'leave out --resume and give --set (.*?), and a TRAIN.end_epoch above (\d+)', text
    )
    return found.group(1).split() + ['TRAIN.end_epoch=%d' % (int(found.group(2)) + 1)]


@pytest.mark.parametrize(
    'beside, missing',
    [
        ((), 'tiny-0001.states, tiny-0001.json'),
        (('states',), 'tiny-0001.json'),
        (('json',), 'tiny-0001.states'),
    ],
)
def test_parameters_without_a_record_stay_and_the_advice_leads_on(train, beside, missing):
    if beside:
        cfg = tiny.tiny_config('rfcn', dataset__NUM_CLASSES=6)
        save_checkpoint(train.prefix, 1, *tiny.tiny_params(cfg), {'x': mx.nd.ones(1)}, 4)
        train.lose(1, *{'states', 'json'} - set(beside))
    content = train.copy_parameters(1)
    text = train(flags=['--resume'], status=2)
    name = train.prefix + '-0001.params'
    if 'json' in beside:
        assert 'passed over: %s-0001.states is missing' % train.prefix in text
    assert (
        'TRAIN.RESUME: %s has no record (missing: %s), so'
        % (name, ', '.join(train.prefix[: -len('tiny')] + part for part in missing.split(', ')))
        in text
    )
    assert train.bytes_of(1) == content
    said = train(*advised(text))
    assert (
        'parameters from %s' % name in said
        and 'epochs 2 to 2 are trained, from learning rate 0.0001 on' in said
    )
    assert train.bytes_of(1) == content
    assert set(train.params(2)) <= set(train.params(1))


def test_a_foreign_file_behind_whole_checkpoints_stays(train):
    train()
    content = train.copy_parameters(2)
    text = train.resume(end=3, status=2)
    assert '%s-0002.params has no record' % train.prefix in text
    assert train.bytes_of(2) == content


def test_a_save_that_was_interrupted_is_made_again(train):
    train('TRAIN.end_epoch=2')
    whole = train.params(2)
    train.lose(2, 'json')
    text = train.resume(end=2)
    assert (
        'passed over: %s-0002.params, whose record %s-0002.json was not written'
        % (train.prefix, train.prefix)
        in text
    )
    assert all(np.array_equal(value, whole[name]) for name, value in train.params(2).items())


def test_nothing_left_to_train_is_said(train):
    train()
    text = train(flags=['--resume'], test=True)
    assert 'nothing is left to train: epoch 1 is done, and TRAIN.end_epoch is 1' in text
    assert 'epoch 1 batch' not in text and 'testing epoch 1: ' in text


def test_going_on_from_an_earlier_epoch_names_the_later_ones(train):
    train('TRAIN.end_epoch=2')
    text = train.resume('TRAIN.begin_epoch=1', end=3)
    assert 'resuming from %s-0001.params' % train.prefix in text
    assert 'lie at %s (up to epoch 2): this one overwrites them' % train.prefix in text


def test_checkpoints_of_an_earlier_run_are_named(train):
    assert 'of an earlier run' not in train()
    assert (
        'checkpoints of an earlier run lie at %s (up to epoch 1): this one overwrites them as it comes to them, and '
        '--resume would go on from the newest' % train.prefix
    ) in train()


# ---- resuming with other settings or data


def test_an_unchanged_run_differs_in_nothing(train):
    train()
    text = train.resume('TRAIN.MAX_LOSS=5000', 'TEST.NMS=0.5', 'default.frequent=2')
    assert (
        'this run differs' not in text
        and 'epochs 2 to 2 are trained, from learning rate 0.0001 on' in text
    )


def test_what_may_change_is_listed_with_what_follows(train):
    train()
    text = train.resume(
        'TRAIN.lr=0.0005',
        'TRAIN.SEED=3',
        'TRAIN.momentum=0.8',
        'TRAIN.FLIP=true',
        'TRAIN.BATCH_IMAGES=2',
        'gpus=cpu,cpu',
    )
    listed = text[
        text.index('this run differs from the one that wrote %s-0001.params:' % train.prefix) :
    ].splitlines()[:8]
    order, size = (
        'images come in another order, or another way, from here on',
        'an update sums the gradients of another number of images (see the effective learning rate)',
    )
    assert listed[1:] == [
        '  TRAIN.BATCH_IMAGES 1 -> 2: ' + size,
        '  TRAIN.FLIP false -> true: ' + order,
        '  TRAIN.SEED 0 -> 3: ' + order,
        '  TRAIN.lr 0.001 -> 0.0005: the learning rate goes on as these settings have it at this place',
        '  TRAIN.momentum 0.9 -> 0.8: counts from the next batch on',
        '  training entries 4 -> 8: ' + order,
        '  devices 1 -> 2: ' + size,
    ]
    assert 'from learning rate 5e-05 on' in text
    assert (
        'a run with 4 batches an epoch, this one has 2: going on at the same share of the epoch'
        in text
    )


@pytest.mark.parametrize(
    'words, change',
    [
        (['network.depth=34'], 'network.depth 18 -> 34'),
        (['dataset.NUM_CLASSES=4'], 'dataset.NUM_CLASSES 6 -> 4'),
        (
            ['TRAIN.BBOX_NORMALIZATION_PRECOMPUTED=false'],
            'TRAIN.BBOX_NORMALIZATION_PRECOMPUTED true -> false',
        ),
        (
            ['network.FIXED_PARAMS=[]'],
            'network.FIXED_PARAMS ["conv1", "bn_conv1", "res2", "bn2", "gamma", "beta"] -> []',
        ),
        (['dataset.CLASSES=%s'], 'the classes ["'),
    ],
)
def test_another_network_or_task_is_refused(train, tmp_path, words, change):
    train()
    if '%s' in words[0]:
        names = (tmp_path / 'toy_vid' / 'classes.txt').read_text().splitlines()
        (tmp_path / 'other.txt').write_text('\n'.join(reversed(names)) + '\n')
        words = [words[0] % (tmp_path / 'other.txt')]
    before = train.params(1)
    text = train.resume(*words, status=2)
    assert (
        'error: %s-0001.params is of a run with other settings: %s' % (train.prefix, change)
        in text
    )
    assert 'docs/reliability.md has the rule' in text and advised(text)
    assert all(np.array_equal(value, before[name]) for name, value in train.params(1).items())


def test_momentum_that_was_not_there_is_refused(train):
    train('TRAIN.momentum=0')
    assert 'other settings: TRAIN.momentum 0.0 -> 0.9' in train.resume(status=2)


def image_set(tmp_path):
    return tmp_path / 'toy_vid' / 'ImageSets' / 'VID_train_15frames.txt'


def test_data_that_grew_or_changed_is_said(train, tmp_path):
    path = image_set(tmp_path)
    lines = path.read_text().splitlines()
    path.write_text('\n'.join(lines[:3]) + '\n')
    train()
    path.write_text('\n'.join(lines[1:4]) + '\n')
    text = train.resume()
    assert (
        '  the list of training images is as long as it was, but another: images come in' in text
    )
    path.write_text('\n'.join(lines) + '\n')
    text = train.resume(end=3)
    assert (
        '  training entries 3 -> 4: images come in another order' in text
        and 'some twice' not in text
    )
    annotation = sorted((tmp_path / 'toy_vid/Annotations/VID/train').rglob('*.xml'))[0]
    xmax = re.search(r'<xmax>(\d+)', annotation.read_text())
    narrower = '<xmax>%d' % (int(xmax.group(1)) - 1)
    annotation.write_text(annotation.read_text().replace(xmax.group(), narrower))
    text = train.resume(end=4)
    assert '  the labels of the training images: counts from the next batch on' in text


def test_within_an_epoch_it_says_what_becomes_of_it(train):
    train('TRAIN.CHECKPOINT_EVERY=2')
    train.lose(1, 'params', 'states', 'json')
    text = train.resume('TRAIN.SEED=1')
    assert (
        '  TRAIN.SEED 0 -> 1: images come in another order, or another way, from here on, in this epoch some twice or'
        in text
    )


def test_another_image_set_is_another_run(train, tmp_path):
    train()
    shutil.copy(str(image_set(tmp_path)), str(image_set(tmp_path).with_name('VID_train_more.txt')))
    text = train.resume('dataset.image_set=VID_train_more')
    assert (
        'yet, starting anew; those of other image sets, in %s, are of other runs. To train on from'
        % train.prefix[: -len('/tiny')]
        in text
    )
    assert (
        'network.pretrained=%s network.pretrained_epoch=1 network.pretrained_flow= TRAIN.begin_epoch=0'
        % train.prefix
        in text
    )


def test_a_record_of_an_older_version_is_taken(train):
    train()
    with open(train.prefix + '-0001.json') as stream:
        record = json.load(stream)
    for part in ('settings', 'data'):
        del record[part]
    with open(train.prefix + '-0001.json', 'w') as stream:
        json.dump(record, stream)
    text = train.resume('TRAIN.SEED=1')
    assert (
        'tiny-0001.json does not tell the settings of its run, as an older version wrote it'
        in text
    )
    assert '  TRAIN.SEED 0 -> 1: ' in text
