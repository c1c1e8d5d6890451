"""Trainings and tests that share an output folder, and what is left of a training's disk when the power goes."""
import os
import re
import signal
import time

import pytest

from lib.engine.checkpoint import find_checkpoint, load_arrays
from lib.inference import testing
from lib.jobs.output_lock import one_writer
from tests.helpers import tiny
from tests.helpers.launch_tools import ENDLESS, Job, make_experiment, prefix, training
from tests.helpers.power import Image
from tests.helpers.tiny import run_script

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def experiment(tmp_path_factory):
    """(folder, YAML file)"""
    folder = tmp_path_factory.mktemp('writers')
    return folder, make_experiment(folder)


def end(job, number=signal.SIGKILL):
    """End a job that runs on one process."""
    job.process.send_signal(number)
    job.process.communicate()


def test_the_second_training_of_a_folder_is_refused_and_the_first_goes_on(experiment):
    command = training(experiment, 'shared', 'TRAIN.end_epoch=%d' % ENDLESS)
    first = Job(['-n', '1'], command)
    first.read_until('epoch 1 batch 3/8')
    folder = prefix(experiment, 'shared').rpartition('/')[0]
    status, out, err = run_script(*command[1:])
    assert status == 2 and 'Traceback' not in err and err.count('error: ') == 1
    assert re.search(r'error: process %s on \S+, which began at [-\d]+ [:\d]+, writes to %s: one folder has one writer'
                     % (r'\d+', re.escape(folder)), err)
    first.read_until('epoch 2 batch 3/8')
    end(first, signal.SIGTERM)

    status, out, err = run_script(*(training(experiment, 'shared', 'TRAIN.end_epoch=2', flags=['--resume'])[1:]))
    assert status == 0 and 'has gone' not in out


def test_after_a_kill_the_folder_is_taken_over_and_cleaned(experiment):
    job = Job(['-n', '1'], training(experiment, 'taken', 'TRAIN.end_epoch=%d' % ENDLESS))
    job.read_until('epoch 2 batch 1/8')
    end(job)
    time.sleep(1)
    where = prefix(experiment, 'taken')
    left = where.replace('/tiny-', '/.tiny-').rpartition('/')[0] + '/.tiny-0001-000002.0123456789ab.tmp.params'
    with open(left, 'w') as stream:
        stream.write('x')
    end_epoch = find_checkpoint(where).epoch + 1
    status, out, _ = run_script(*(training(experiment, 'taken', 'TRAIN.end_epoch=%d' % end_epoch,
                                           flags=['--resume'])[1:]))
    assert status == 0 and 'has gone without giving back' in out and 'resuming from' in out
    with pytest.raises(FileNotFoundError):
        open(left)


def test_two_tests_of_one_kind_do_not_mix_and_training_goes_beside_a_test(experiment, monkeypatch):
    folder, path = experiment
    config = tiny.fresh_task('rfcn').config
    task = tiny.fresh_task('rfcn')
    task.update_config(str(path))
    config = task.config
    numbers = testing.test_net(task, config, str(path))
    results = numbers['detections'].rpartition('/')[0]
    with one_writer(results, print):
        status, _, err = run_script('rfcn/test.py', '--cfg', path)
        assert status == 2 and 'writes to %s: one folder has one writer' % results in err
        status, _, err = run_script('rfcn/test.py', '--cfg', path, '--interval', 2, '--thresh', 0.5)
        assert status == 2 and 'writes to' in err
        status, _, _ = run_script(*(training(experiment, 'output', 'TRAIN.end_epoch=1')[1:]))
        assert status == 0
    assert run_script('rfcn/test.py', '--cfg', path)[0] == 0


def test_a_disk_without_power_holds_a_usable_checkpoint(experiment, tmp_path):
    """Copies of the disk while a training writes to it. It is stopped for each: a copy is of one moment."""
    image = Image(tmp_path, megabytes=64)
    try:
        job = Job(['-n', '1'], training(experiment, image.place, 'TRAIN.end_epoch=%d' % ENDLESS,
                                        'TRAIN.CHECKPOINT_EVERY=2'))
        job.read_until('epoch 2 batch 1/8')
        for number in range(4):
            os.kill(job.pid('worker 0'), signal.SIGSTOP)
            before = find_checkpoint(prefix(experiment, image.place))
            place = image.after_power_loss('copy%d' % number)
            os.kill(job.pid('worker 0'), signal.SIGCONT)
            found = find_checkpoint(prefix(experiment, place))
            assert found is not None and (found.epoch, found.batch) >= (before.epoch, before.batch)
            assert load_arrays(found.states_file)
            time.sleep(0.7)
        end(job)
    finally:
        image.remove()
