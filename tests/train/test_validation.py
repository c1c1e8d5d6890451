"""Validation during training, through the real command on tiny networks."""
import glob
import json
import os
import shutil
import signal
import sys

import numpy as np
import pytest

import lib  # noqa: F401
from dff.errors import CheckpointError
from lib.apps import commands
from lib.apps.demo import load_model
from lib.config.config import update_from_file
from lib.engine.checkpoint import load_arrays, positions
from lib.inference.testing import TestOptions
from lib.train.watch import validation
from lib.train.watch.curves import read_run
from tests.helpers import tiny, tiny_seg
from tests.helpers.training_command import BATCHES, Training, make_data

EVERY = 'TRAIN.VALIDATE_EVERY=%g'
TWICE = EVERY % 0.5


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp('data'))


@pytest.fixture
def train(tmp_path, data, monkeypatch, capsys):
    return Training(tmp_path, data, monkeypatch, capsys)


@pytest.fixture
def values(monkeypatch):
    """values(...): what the validations from here on find, in the place of their test."""
    def give(*numbers):
        rest = list(numbers)
        monkeypatch.setattr(validation.Validation, '_value', lambda *_: rest.pop(0))
        return rest
    return give


def record(train, number):
    with open('%s-%s.json' % (train.prefix, number)) as stream:
        return json.load(stream)


def same(train, one, other):
    one, other = (load_arrays('%s-%s' % (train.prefix, name)) for name in (one, other))
    return one.keys() == other.keys() and all(np.array_equal(one[name].asnumpy(), other[name].asnumpy())
                                              for name in one)


def test_the_parameters_so_far_are_tested_as_a_test_would(train):
    text = train(EVERY % 1, 'TEST.test_epoch=best', test=True)
    assert text.count('validation after epoch 1: mAP@0.5 ') == 1 and '(the best so far) on 1 clips' in text
    assert 'testing the best parameters: %s-best.params' % train.prefix in text
    report = next(line for line in read_run(os.path.dirname(train.prefix)) if line['kind'] == 'validation')
    results = glob.glob(str(train.folder / 'output' / '*' / '*' / 'tiny-best_interval1' / 'results.json'))
    with open(results[0]) as stream:
        assert json.load(stream)['mAP'] == report['mAP'] == record(train, 'best')['mAP'] == report['best']
    assert same(train, 'best.params', '0001.params') and record(train, 'best')['classes'] == record(
        train, '0001')['data']['classes']
    one, other = (open(glob.glob(str(train.folder / 'output' / '*' / '*' / name / 'detections.txt'))[0]).read()
                  for name in ('validation', 'tiny-best_interval1'))
    assert one == other and one.count('\n') > 10


def test_the_best_are_kept_and_training_ends_early(train, values):
    left = values(0.2, 0.5, 0.4, 0.5, 0.6)
    text = train(TWICE, 'TRAIN.PATIENCE=2', 'TRAIN.end_epoch=5', 'TRAIN.CHECKPOINT_EVERY=0')
    assert left == [0.6] and 'epoch 3 batch 1' not in text
    assert 'validation after batch 2 of epoch 2: mAP@0.5 0.4000 (best 0.5000 of epoch 1)' in text
    assert ('training ends: 2 validations without a better value (TRAIN.PATIENCE) than that of epoch 1. The best '
            'parameters are %s-best.params' % train.prefix) in text
    assert same(train, 'best.params', '0001.params') and record(train, 'best')['mAP'] == 0.5
    # Going on ends at once, and with more patience goes on from the count.
    text = train.resume(TWICE, 'TRAIN.PATIENCE=2', end=5)
    assert 'training ends: 2 validations' in text and 'batch 1/%d' % BATCHES not in text and left == [0.6]
    left.append(0.1)
    text = train.resume(TWICE, 'TRAIN.PATIENCE=3', end=3)
    assert not left and 'validation after batch 2 of epoch 3: mAP@0.5 0.6000 (the best so far)' in text


def test_an_end_within_an_epoch_leaves_a_checkpoint_and_tests_the_best(train, values):
    values(0.5, 0.4, 0.3)
    text = train(TWICE, 'TRAIN.PATIENCE=2', 'TRAIN.end_epoch=5', test=True)
    assert positions(train.prefix) == {(1, 0), (1, 2)}
    assert 'testing the best parameters' in text and record(train, '0001-000002')['validation']['since'] == 2


def test_a_run_that_went_on_decides_as_one_that_never_stopped(train, values):
    settings = [TWICE, 'TRAIN.EMA=0.9', 'TRAIN.PATIENCE=9', 'TRAIN.CHECKPOINT_EVERY=1']
    values(0.3, 0.2, 0.1, 0.4)
    train('TRAIN.end_epoch=2', *settings)
    expected = record(train, '0002')['validation'], {
        name: load_arrays('%s-%s' % (train.prefix, name)) for name in ('0002.params', '0002.states', 'ema-0002.params',
                                                                       'best.params')}
    for path in glob.glob(train.prefix + '-0002*') + glob.glob(train.prefix + '-ema-0002*'):
        os.remove(path)
    # It goes on from the end of the first epoch.
    values(0.1, 0.4)
    for path in glob.glob(train.prefix + '-0001-000003*') + glob.glob(train.prefix + '-ema-0001-000003*'):
        os.remove(path)
    train.resume(*settings, end=2)
    assert record(train, '0002')['validation'] == expected[0] and expected[0]['best'] == 0.4
    for name, arrays in expected[1].items():
        found = load_arrays('%s-%s' % (train.prefix, name))
        assert found.keys() == arrays.keys() and all(
            np.array_equal(found[key].asnumpy(), arrays[key].asnumpy()) for key in arrays), name


def test_a_validation_that_a_stop_cut_off_is_made_when_the_run_goes_on(train, values, monkeypatch):
    values(0.3)
    train(EVERY % 1, 'TRAIN.EMA=0.9')
    path = train.prefix + '-0001.json'
    content = record(train, '0001')
    content['validation'].update(best=None, at=None, last=None)      # as written before the validation
    with open(path, 'w') as stream:
        json.dump(content, stream)
    for kind in ('params', 'json'):
        os.remove('%s-best.%s' % (train.prefix, kind))
    values(0.3)
    text = train.resume(EVERY % 1, 'TRAIN.EMA=0.9', end=1)
    assert 'validation after epoch 1: mAP@0.5 0.3000' in text and 'batch 1/%d' % BATCHES not in text
    assert same(train, 'best.params', 'ema-0001.params') and not same(train, 'best.params', '0001.params')
    assert record(train, '0001')['validation']['best'] == 0.3
    assert 'validation after' not in train.resume(EVERY % 1, 'TRAIN.EMA=0.9', end=1)


@pytest.mark.parametrize('due, place, number', [(EVERY % 1, 'epoch 1', '0001'),
                                                (TWICE, 'batch 2 of epoch 1', '0000-000002')])
def test_a_signal_ends_a_validation_with_its_frame(train, monkeypatch, due, place, number):
    run_here, frames = validation.run_here, []

    def send(run):
        def work_of(make_work, device):
            work = make_work(device)

            def counted(clip, tick):
                def count():
                    frames.append(clip)
                    if len(frames) == 1 and run == 1:
                        os.kill(os.getpid(), signal.SIGINT)
                    tick()
                work(clip, count)
            return counted
        monkeypatch.setattr(validation, 'run_here', lambda clips, device, make_work: run_here(
            clips, device, lambda device: work_of(make_work, device)))
    send(1)
    text = train(due, status=128 + signal.SIGINT)
    assert len(frames) == 1 and 'validation after' not in text
    assert 'stopped by a signal; --resume continues from %s-%s.params' % (train.prefix, number) in text
    assert record(train, number)['validation']['last'] is None
    frames.clear()
    send(2)
    text = train.resume(due, end=1)
    assert text.count('validation after %s: mAP@0.5' % place) == 1 and len(frames) >= 2
    other = Training.params(train, 1)
    train(due)
    assert all(np.array_equal(array, other[name]) for name, array in train.params(1).items())


def test_values_of_other_clips_are_not_compared(train, values):
    values(0.9)
    train(EVERY % 1)
    values(0.1, 0.05)
    text = train.resume(EVERY % 1, 'TEST.NMS=0.5', end=2)
    assert 'other clips or with other settings than before' in text
    assert 'validation after epoch 1: mAP@0.5 0.1000 (the best so far)' in text
    assert 'validation after epoch 2: mAP@0.5 0.0500 (best 0.1000 of epoch 1)' in text


@pytest.mark.parametrize('settings, message', [
    (['TEST.DETECT_ONLY=true'], 'TRAIN.VALIDATE_EVERY needs labels to compare with'),
    (['dataset.test_image_set=VID_none_videos'], 'TRAIN.VALIDATE_EVERY tests on dataset.test_image_set, which '
     'cannot be: image set'),
    (['default.tensorboard=true'], 'tensorboardX cannot be imported'),
])
def test_what_cannot_be_validated_is_said_before_training(train, settings, message, monkeypatch):
    monkeypatch.setitem(sys.modules, 'tensorboardX', None)
    text = train(EVERY % 1, *settings, status=2)
    assert message in text and 'batch 1/' not in text


def test_a_set_without_labels_is_named_before_training(train):
    for path in (train.folder / 'toy_vid' / 'Annotations' / 'VID' / 'val').rglob('*.xml'):
        path.write_text(path.read_text().split('<object>')[0] + '</annotation>')
    text = train(EVERY % 1, status=2)
    assert 'which cannot be: ' in text and 'nothing to evaluate: no box of a listed class' in text
    assert 'DETECT_ONLY' not in text and 'batch 1/' not in text


def test_a_test_of_the_best_says_what_is_missing_or_other(train, values):
    assert 'set TRAIN.VALIDATE_EVERY' in train('TEST.test_epoch=best', test=True, status=2)
    assert 'tiny-best.params does not exist: training with TRAIN.VALIDATE_EVERY writes it' in train.run(
        commands.test, 'TEST.test_epoch=best', status=2)
    values(0.5)
    train(EVERY % 1)
    content = record(train, 'best')
    content['classes'][0] = 'cat'
    with open(train.prefix + '-best.json', 'w') as stream:
        json.dump(content, stream)
    assert 'is of a training for other classes' in train.run(commands.test, 'TEST.test_epoch=best', status=2)
    task = tiny.fresh_task('rfcn')
    update_from_file(task.config, str(train.path))
    with pytest.raises(CheckpointError, match='for other classes'):
        load_model(task, train.prefix, 'best')


def test_some_clips_of_detection_are_evaluated_alone(tmp_path):
    path = tiny.write_experiment(tmp_path, 'dff_rfcn', clips=3, length=4)
    task = tiny.fresh_task('dff_rfcn')
    update_from_file(task.config, str(path))
    run = task.kind.test_run(task, task.config, TestOptions(clips=2))
    assert [job.first_number for job in run.jobs] == [1, 5]
    truth = run.dataset.ground_truth()
    assert truth.frames.tolist() == list(range(1, 9)) and len(truth.offsets) == 9
    assert len(task.kind.test_run(task, task.config, TestOptions()).dataset.ground_truth().frames) == 12


@pytest.mark.slow
def test_segmentation_is_validated(tmp_path, monkeypatch, capsys):
    tiny_seg.make_folder(tmp_path / 'set', clips=3, length=4)
    for name in ('val', 'valannot'):
        shutil.copytree(str(tmp_path / 'set' / name), str(tmp_path / 'set' / name.replace('val', 'train')))
    path = tiny_seg.write_experiment(
        tmp_path, 'dff_deeplab', TRAIN__end_epoch=1, TRAIN__lr_step='', TRAIN__CROP_HEIGHT=64, TRAIN__CROP_WIDTH=96,
        TRAIN__VALIDATE_EVERY=1, TRAIN__VALIDATE_CLIPS=2, TRAIN__FLIP=False, TRAIN__warmup=False,
        TEST__test_epoch='best')
    monkeypatch.setattr('sys.argv', ['command', '--cfg', str(path)])
    commands.train_and_test(tiny.fresh_task('dff_deeplab'), '')
    text = capsys.readouterr().out
    assert 'validation after epoch 1: mean IoU 0.' in text and 'on 2 clips' in text
    assert 'testing the best parameters' in text
