"""Which epoch is tested, and which normalisation is folded into the test layer."""

import re

import numpy as np
import pytest

from lib.apps import commands
from tests.helpers.training_command import Training, make_data


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp('data'))


@pytest.fixture
def train(tmp_path, data, monkeypatch, capsys):
    return Training(tmp_path, data, monkeypatch, capsys)


# ---- which epoch is tested


def test_an_epoch_that_will_not_be_is_named_before_training(train, tmp_path):
    text = train('TEST.test_epoch=7', 'TRAIN.end_epoch=3', test=True, status=2)
    assert (
        'error: TEST.test_epoch is 7, but training ends with epoch 3 (TRAIN.end_epoch). Without '
        'TEST.test_epoch the last '
        'epoch, 3, is tested'
    ) in text
    assert 'batch' not in text and not (tmp_path / 'output').exists()
    text = train(
        'TEST.test_epoch=2', 'TRAIN.begin_epoch=2', 'TRAIN.end_epoch=3', test=True, status=2
    )
    assert (
        'TEST.test_epoch is 2, but epochs 3 to 3 are trained' in text
        and 'tiny-0002.params' in text
    )
    assert 'TEST.test_epoch is 0, but epochs 1 to 3 are trained' in train(
        'TEST.test_epoch=0', 'TRAIN.end_epoch=3', test=True, status=2
    )


def test_the_last_epoch_is_tested_and_an_earlier_one_said(train):
    text = train('TRAIN.end_epoch=2', test=True)
    assert 'testing epoch 2: %s-0002.params' % train.prefix in text and 'Mean AP@0.5' in text
    text = train('TRAIN.end_epoch=2', 'TEST.test_epoch=1', test=True)
    assert (
        'TEST.test_epoch: epoch 1 of 2 will be tested. Without TEST.test_epoch the last epoch, 2, is tested'
        in text
    )
    assert (
        'testing epoch 1 of 2: %s-0001.params' % train.prefix in text
        and 'are finished and kept' not in text
    )
    # The same seed makes the same parameters, so what the test found is kept, and said to be.
    text = train('TRAIN.end_epoch=2', 'TEST.test_epoch=1', test=True)
    assert re.search(
        r'1 of 1 clips are finished and kept: an earlier test had the same parameters '
        r'\(sha256 [0-9a-f]{12}\.\.\.\), '
        'settings and frames; --ignore_cache runs them again',
        text,
    )
    text = train('TRAIN.end_epoch=2', 'TEST.test_epoch=1', 'TRAIN.lr=0.002', test=True)
    assert (
        'were made with other settings (parameters): all clips run again' in text
        and 'kept' not in text
    )


def test_without_the_last_epoch_the_newest_is_tested(train):
    train()
    assert 'testing epoch 1 of 5: %s-0001.params' % train.prefix in train.run(
        commands.test, 'TRAIN.end_epoch=5'
    )


def test_changed_frames_are_tested_again(train, tmp_path):
    train(test=True)
    frame = sorted((tmp_path / 'toy_vid/Data/VID/val').rglob('*.JPEG'))[1]
    frame.write_bytes(frame.read_bytes() + b'\0\0')
    assert 'are finished and kept' not in train(test=True)
    assert '1 of 1 clips are finished and kept' in train(test=True)


# ---- what is folded in


@pytest.mark.parametrize(
    'precomputed, factors', [('true', [0.1, 0.1, 0.2, 0.2]), ('false', [1, 1, 1, 1])]
)
def test_the_normalisation_that_was_used_is_folded_in(train, precomputed, factors):
    train('TRAIN.BBOX_NORMALIZATION_PRECOMPUTED=' + precomputed, 'TRAIN.BBOX_MEANS=[0.5,0,0,0]')
    arrays = train.params(1)
    plain, folded = (arrays['arg:rfcn_bbox_weight' + end].reshape(8, -1) for end in ('', '_test'))
    np.testing.assert_allclose(folded, plain * np.tile(factors, 2)[:, None], rtol=1e-6)
    plain, folded = (arrays['arg:rfcn_bbox_bias' + end].reshape(8, -1) for end in ('', '_test'))
    means = np.tile([0.5, 0, 0, 0] if precomputed == 'true' else [0] * 4, 2)
    np.testing.assert_allclose(
        folded, plain * np.tile(factors, 2)[:, None] + means[:, None], rtol=1e-6
    )
