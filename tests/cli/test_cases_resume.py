"""Where training starts: anew, from parameters alone, or from a checkpoint."""

import json

import mxnet as mx
import numpy as np
import pytest

from lib.engine.checkpoint import save_checkpoint
from tests.helpers import tiny
from tests.helpers.training_command import BATCHES, Training, advised, make_data


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
    assert 'are at %s (up to epoch 2): this one overwrites them' % train.prefix in text


def test_checkpoints_of_an_earlier_run_are_named(train):
    assert 'of an earlier run' not in train()
    assert (
        'checkpoints of an earlier run are at %s (up to epoch 1): this one overwrites them as it comes to them, and '
        '--resume would continue from the newest' % train.prefix
    ) in train()
