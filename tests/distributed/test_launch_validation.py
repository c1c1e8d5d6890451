"""Validation in a job of several workers."""
import json

import pytest

from lib.engine.checkpoint import load_arrays, positions
from tests.helpers.launch_tools import ENDLESS, Job, make_experiment, prefix, training


@pytest.mark.slow
def test_all_workers_end_together_and_go_on_from_the_same_count(tmp_path):
    experiment = tmp_path, make_experiment(tmp_path)
    # Nothing is learned in these few batches: no validation is better than the first.
    settings = ['default.kvstore=dist_sync', 'TRAIN.VALIDATE_EVERY=0.5', 'TRAIN.VALIDATE_CLIPS=1', 'TRAIN.lr=1e-9',
                'TRAIN.end_epoch=%d' % ENDLESS, 'TRAIN.EMA=0.5', 'network.BN_GLOBAL_STATS=false']
    status, text = Job(['-n', '2'], training(experiment, 'out', 'TRAIN.PATIENCE=2', *settings)).finish()
    where = prefix(experiment, 'out')
    assert status == 0 and text.count('validation after ') == 3
    assert text.count('training ends: 2 validations without a better value') == 1
    assert max(positions(where)) == (1, 2)
    with open(where + '-0001-000002.json') as stream:
        assert json.load(stream)['validation']['since'] == 2
    assert load_arrays(where + '-best.params').keys() == load_arrays(where + '-ema-0001.params').keys()

    status, text = Job(['-n', '2'], training(experiment, 'out', 'TRAIN.PATIENCE=3', *settings,
                                             flags=['--resume'])).finish()
    assert status == 0 and text.count('validation after ') == 1 and max(positions(where)) == (2, 0)


@pytest.mark.slow
def test_workers_at_different_places_are_refused(tmp_path):
    experiment = tmp_path, make_experiment(tmp_path)
    status, text = Job(['-n', '2'], training(experiment, 'out', 'default.kvstore=dist_async',
                                             'TRAIN.VALIDATE_EVERY=1')).finish()
    assert status == 2 and 'TRAIN.VALIDATE_EVERY: with default.kvstore dist_async each worker' in text
