"""What a training says of itself: time left, trend, reports for programs, curves of them; and its settings."""
import json
import math
import sys

import pytest

from dff.errors import CheckpointError, ConfigError, DataError, SetupError
from lib.config.config import update_from_settings
from lib.config.defaults import detection_defaults
from lib.engine import best
from lib.engine.checkpoint import BEST, file_name
from lib.inference.testing import spread
from lib.train.watch import reports
from lib.train.watch.curves import draw, read_run
from lib.train.watch.estimate import TimeLeft, Trend
from lib.train.watch.validation import is_due
from lib.utils.argument_types import epoch_or_best


def test_the_time_left_does_not_jump_with_a_busy_machine():
    left, rest, found = TimeLeft(), 2000, []
    for seconds in [0.1, 0.1, 0.7, 0.7] * 10:      # a batch, 0.4 on average; the last 50 alone say 0.25 and 1.75 times
        left.add(50, 50 * seconds)
        rest -= 50
        found.append((left.seconds(rest), 0.4 * rest))
    assert rest == 0 and found[-1][0] == 0
    assert all(0.6 * true <= said <= 1.1 * true for said, true in found[2:])
    assert all(later < 1.25 * before for (before, _), (later, _) in zip(found[3:], found[4:]))


def test_the_time_left_knows_of_pauses_and_of_a_speed_that_changed():
    left = TimeLeft()
    assert left.seconds(10) is None
    left.add(100, 100.0, paused=50.0)
    assert left.seconds(100) == pytest.approx(150)
    for _ in range(20):
        left.add(100, 300.0)      # three times as slow from here on
    assert left.seconds(100) == pytest.approx(100 * ((100 + 6000) / 2100 + 3) / 2 + 50 / 21, rel=0.01)
    left.add(0, 0.0, paused=21.0)
    assert left.seconds(100) - left.seconds(0) > 290


@pytest.mark.parametrize('stopped', [0, 1, 5])
def test_the_time_left_does_not_count_that_of_a_stopped_process(stopped):
    left = TimeLeft()
    for report in range(10):
        left.add(20, 20.0 + 1500 * (report == stopped))
    assert left.seconds(100) == pytest.approx(100)


def test_a_trend_is_told_after_a_twentieth_of_the_run():
    trend, found = Trend(400), []
    for batch in range(5, 401, 5):
        found.append(trend.add(batch, 5, 2.0 - 0.001 * batch))      # a window of 20 batches
    assert [change for _, change, _ in found[:4]] == [None] * 4
    smoothed, change, batches = found[-1]
    assert batches == 20 and change == pytest.approx(-0.02, abs=1e-4)
    # The exponential mean lags behind by about a window.
    assert 1.6 < smoothed < 1.6 + 0.001 * 25
    assert Trend(400).add(5, 5, 1.5) == (pytest.approx(1.5), None, 0)


@pytest.mark.parametrize('epochs, batches, places', [
    (1.0, 4, [4, 8, 12]), (2.0, 4, [8]), (0.5, 5, [3, 5, 8, 10]), (0.1, 3, list(range(1, 13))),
    (1 / 3, 3, list(range(1, 13))), (1.5, 3, [5, 9]), (0.7, 10, [7, 14])])
def test_validations_fall_on_the_batches_that_the_epochs_say(epochs, batches, places):
    assert [done for done in range(1, places[-1] + 1) if is_due(epochs, batches, done)] == places


def test_clips_are_spread_over_the_list():
    assert spread(list(range(10)), 4) == [0, 2, 5, 7]
    assert spread('abc', 0) == spread('abc', 3) == spread('abc', 7) == 'abc'


# ---- settings

@pytest.mark.parametrize('settings, message', [
    (['TRAIN.PATIENCE=3'], r'TRAIN\.PATIENCE \(3\) counts validations, and there are none: set TRAIN\.VALIDATE_EVERY'),
    (['TRAIN.VALIDATE_CLIPS=3'], r'TRAIN\.VALIDATE_CLIPS \(3\) is for validations, and there are none'),
    (['TRAIN.VALIDATE_EVERY=5'], 'is 5 epochs, and training ends with epoch 2: nothing would be validated'),
    (['TRAIN.VALIDATE_EVERY=-1'], r'TRAIN\.VALIDATE_EVERY must be at least 0'),
    (['TRAIN.EMA=1'], r'TRAIN\.EMA must be at least 0 and below 1 \(0: no averages\), found 1'),
    (['TRAIN.PATIENCE=1.5'], 'must be a whole number'),
    (['TEST.test_epoch=beste'], "'TEST.test_epoch' must be a whole number or best, found 'beste'"),
    (['default.tensorboard=1'], "'default.tensorboard' must be true or false"),
])
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        update_from_settings(detection_defaults(), settings)


def test_the_epoch_of_a_test_is_a_number_or_best():
    config = detection_defaults()
    update_from_settings(config, ['TEST.test_epoch=best', 'network.pretrained_epoch=best'])
    assert config.TEST.test_epoch == config.network.pretrained_epoch == BEST
    update_from_settings(config, ['TEST.test_epoch=3'])
    assert config.TEST.test_epoch == 3
    assert (epoch_or_best('12'), epoch_or_best('best')) == (12, 'best')
    assert file_name('m', BEST) == 'm-best.params' and file_name('m', 3) == 'm-0003.params'


# ---- the best parameters

def test_the_best_parameters_are_refused_where_they_are_others(tmp_path):
    mx = pytest.importorskip('mxnet')
    prefix = str(tmp_path / 'm')
    best.check_best(prefix, ['cat'])      # nothing is there
    best.save_best(prefix, {'w': mx.nd.ones(2)}, {}, {'classes': ['cat', 'dog'], 'mAP': 0.5})
    best.check_best(prefix, ['cat', 'dog'])
    with pytest.raises(CheckpointError, match=r"m-best\.params is of a training for other classes: \['cat', "
                                              r"'dog'\], and the settings have: \['cat'\]"):
        best.check_best(prefix, ['cat'])
    mx.nd.save(prefix + '-best.params', {'arg:w': mx.nd.zeros(2)})
    with pytest.raises(CheckpointError, match='is not the file that .*m-best.json describes'):
        best.check_best(prefix, ['cat', 'dog'])


# ---- reports

def write_log(path, updates, loss=1.0):
    write = reports.JsonLines(str(path))
    write({'kind': 'start', 'batches': 4})
    for update in updates:
        write({'kind': 'train', 'update': update, 'loss': loss, 'smoothed_loss': loss,
               'metrics': {'a': math.nan}, 'rate': 0.1, 'images_per_second': math.inf})
        write({'kind': 'validation', 'update': update, 'mAP': update / 100})


def test_reports_are_lines_of_json(tmp_path):
    write_log(tmp_path / 'a.jsonl', [1])
    start, train, validation = map(json.loads, (tmp_path / 'a.jsonl').read_text().splitlines())
    assert start['kind'] == 'start' and train['metrics'] == {'a': None} and train['images_per_second'] is None
    assert validation['mAP'] == 0.01 and abs(validation['time'] - start['time']) < 60


def test_a_log_that_cannot_be_written_is_said_once(tmp_path, capsys):
    write_log(tmp_path / 'missing' / 'a.jsonl', [1, 2])
    assert capsys.readouterr().err.count('cannot write %s' % (tmp_path / 'missing')) == 1


def test_a_run_that_went_on_replaces_what_it_did_again(tmp_path):
    write_log(tmp_path / 'a.jsonl', [2, 4, 6], loss=1.0)
    write_log(tmp_path / 'b.jsonl', [6, 8], loss=2.0)
    with open(str(tmp_path / 'b.jsonl'), 'a') as stream:
        stream.write('{"kind": "tra')      # a run was killed
    found = [(report['update'], report['loss']) for report in read_run(str(tmp_path)) if report['kind'] == 'train']
    assert found == [(2, 1.0), (4, 1.0), (6, 2.0), (8, 2.0)]
    draw([('a', read_run(str(tmp_path / 'a.jsonl'))), ('both', read_run(str(tmp_path)))], str(tmp_path / 'c.png'))
    assert (tmp_path / 'c.png').read_bytes().startswith(b'\x89PNG')


@pytest.mark.parametrize('content, message', [
    (None, 'no report of a training is there'), ('', 'no report of a training is there'),
    ('{"kind": "train", "update": 1}\nnonsense\n', r"a\.jsonl, line 2: expected a report .* found 'nonsense'"),
    ('[]\n', r'a\.jsonl, line 1: expected a report'), ('{"kind": "train"}\n', 'line 1: expected a report'),
])
def test_what_is_no_log_is_named(tmp_path, content, message):
    if content is not None:
        (tmp_path / 'a.jsonl').write_text(content)
    with pytest.raises(DataError, match=message):
        read_run(str(tmp_path))


def test_event_files_hold_the_numbers(tmp_path):
    pytest.importorskip('tensorboardX', reason='pip install -r requirements-tensorboard.txt')
    from tensorboardX.proto.event_pb2 import Event
    config = detection_defaults()
    config.default.tensorboard = True
    with reports.open_reports(config, str(tmp_path / 'x.log')) as (_, events):
        events({'kind': 'start', 'batches': 4})
        events({'kind': 'train', 'epoch': 1, 'update': 7, 'loss': 0.5,
                'metrics': {'RPNAcc': math.nan, 'RCNNAcc': 0.25}})
    content = next((tmp_path / 'x.tensorboard').iterdir()).read_bytes()
    found, place = {}, 0
    while place < len(content):      # a record: length, its checksum, the event, its checksum
        length = int.from_bytes(content[place:place + 8], 'little')
        event = Event.FromString(content[place + 12:place + 12 + length])
        found.update({value.tag: (event.step, value.simple_value) for value in event.summary.value})
        place += 16 + length
    assert found == {'train/loss': (7, 0.5), 'train/RCNNAcc': (7, 0.25)}


def test_tensorboard_that_is_missing_is_said_before_training(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, 'tensorboardX', None)
    config = detection_defaults()
    config.default.tensorboard = True
    with pytest.raises(SetupError, match='pip install -r requirements-tensorboard.txt'), \
            reports.open_reports(config, str(tmp_path / 'x.log')):
        pass
    with reports.open_reports(config, None) as found:      # a worker that does not log
        assert found == []
