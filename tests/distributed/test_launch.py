"""Jobs of several processes on this machine, by tools/launch.py."""
import json
import os
import signal
import sys

import mxnet as mx
import numpy as np
import pytest

from lib.engine.checkpoint import find_checkpoint
from tests.helpers.launch_tools import ENDLESS, LAUNCH, Job, arrays, comes_true, make_experiment, prefix, training
from tests.helpers.tiny import run_script

SYNC, ASYNC = 'default.kvstore=dist_sync', 'default.kvstore=dist_async'


@pytest.fixture(scope='module')
def experiment(tmp_path_factory):
    """(folder, YAML file)"""
    folder = tmp_path_factory.mktemp('launch')
    return folder, make_experiment(folder)


def finish(flags, command):
    return Job(flags, command).finish()


def train_and_kill(experiment, output, setting, victim):
    """Start a training without end, kill one of its processes in the second epoch;
    returns (output, the newest checkpoint)."""
    job = Job(['-n', '2'], training(experiment, output, setting, 'TRAIN.end_epoch=%d' % ENDLESS))
    job.read_until('epoch 2 batch 3/4')
    os.kill(job.pid(victim), signal.SIGKILL)
    status, text = job.finish()
    assert status == 2 and 'error: %s was killed by signal 9 (SIGKILL): the job is stopped' % victim in text
    assert '--resume continues' in text
    start = find_checkpoint(prefix(experiment, output))
    assert (start.epoch, start.batch) >= (1, 0)
    return text, start


@pytest.mark.slow
def test_two_workers_train_as_two_devices_even_when_one_is_killed(experiment, root):
    text, start = train_and_kill(experiment, 'workers', SYNC, 'worker 1')
    assert 'effective learning rate 0.0005 = TRAIN.lr 0.00025 x 2 devices' in text
    assert text.count('epoch 1 batch 1/4') == 1                     # one worker logs for all
    end = start.epoch + 1
    status, text = finish(['-n', '2'],
                          training(experiment, 'workers', SYNC, 'TRAIN.end_epoch=%d' % end, flags=['--resume']))
    assert status == 0 and 'resuming from %s' % start.params_file in text

    status, _ = finish(['-n', '1'],
                       training(experiment, 'devices', 'TRAIN.end_epoch=%d' % end, flags=['--gpus', 'cpu,cpu']))
    devices, workers = (arrays(experiment, output, end) for output in ('devices', 'workers'))
    assert status == 0 and devices.keys() == workers.keys()
    assert all(np.array_equal(devices[name], workers[name]) for name in devices)


@pytest.mark.slow
def test_a_server_that_disappears_ends_the_job(experiment):
    train_and_kill(experiment, 'server', SYNC, 'server 0')


@pytest.mark.slow
def test_a_job_that_is_asked_to_stop_leaves_a_checkpoint(experiment):
    job = Job(['-n', '2'],
              training(experiment, 'stopped', SYNC, 'TRAIN.end_epoch=%d' % ENDLESS, 'TRAIN.CHECKPOINT_EVERY=0'))
    job.read_until('epoch 1 batch 1/4')
    job.process.send_signal(signal.SIGTERM)
    status, text = job.finish()
    start = find_checkpoint(prefix(experiment, 'stopped'))
    assert status == 143 and 'the job is stopped; --resume continues' in text
    assert '--resume continues from %s' % start.params_file in text


@pytest.mark.slow
def test_asynchronous_training_goes_on_after_a_killed_worker(experiment):
    _, start = train_and_kill(experiment, 'async', ASYNC, 'worker 1')
    end = start.epoch + 1
    status, text = finish(['-n', '2'],
                          training(experiment, 'async', ASYNC, 'TRAIN.end_epoch=%d' % end, flags=['--resume']))
    assert status == 0 and 'resuming from %s' % start.params_file in text and 'with the momentum of worker 0' in text
    before, after = mx.nd.load(start.params_file), mx.nd.load('%s-%04d.params' % (prefix(experiment, 'async'), end))
    assert find_checkpoint(prefix(experiment, 'async'), end).num_update == 4 * end
    assert not np.array_equal(before['arg:rfcn_cls_weight'].asnumpy(), after['arg:rfcn_cls_weight'].asnumpy())


@pytest.mark.slow
def test_one_asynchronous_worker_trains_as_one_process(experiment):
    for output, setting in (('alone', 'default.kvstore=device'), ('one', ASYNC)):
        status, _ = finish(['-n', '1'], training(experiment, output, setting))
        assert status == 0
    alone, one = (arrays(experiment, output, 1) for output in ('alone', 'one'))
    assert alone.keys() == one.keys()
    for name in alone:
        np.testing.assert_allclose(one[name], alone[name], rtol=1e-3, atol=1e-3 * np.abs(alone[name]).max(),
                                   err_msg=name)


@pytest.mark.slow
def test_no_asynchronous_step_is_lost(tmp_path, root):
    status, text = finish(['-n', '2', '-s', '2'], [sys.executable, str(root / 'tests' / 'helpers' / 'async_worker.py'),
                                                   str(tmp_path / 'x'), '20'])
    assert status == 0
    for rank in (0, 1):
        assert 'worker %d: %d updates, wd 0.005, stop True' % (rank, 20 + rank) in text
    one, two = ({name: array.asnumpy() for name, array in mx.nd.load(str(tmp_path / ('x.%d' % rank))).items()}
                for rank in (0, 1))
    for name in (name.split()[1] for name in one if name.startswith('final ')):
        assert np.array_equal(one['first ' + name], two['first ' + name])
        assert np.array_equal(one['final ' + name], two['final ' + name])
        np.testing.assert_allclose(one['final ' + name] - one['first ' + name],
                                   one['added ' + name] + two['added ' + name], atol=1e-4)
        assert name == 'conv1_bias' or min(np.abs(each['added ' + name]).max() for each in (one, two)) > 1e-3


@pytest.mark.slow
def test_workers_share_the_clips_of_a_test(experiment):
    arguments = ['rfcn/test.py', '--cfg', experiment[1]]
    folder = experiment[0] / 'output' / 'tiny_rfcn' / 'VID_val_videos'
    status, out, _ = run_script(LAUNCH, '-n', 2, '--', sys.executable, *arguments)
    assert status == 0 and out.count('all figures: ') == 1
    results = json.loads(next(folder.rglob('results.json')).read_text())
    detections = next(folder.rglob('detections.txt')).read_text()
    assert results['frames'] == 9
    status, _, _ = run_script(*arguments, '--ignore_cache')
    assert status == 0 and next(folder.rglob('detections.txt')).read_text() == detections
    status, out, _ = run_script(LAUNCH, '-n', 2, '--', sys.executable, *arguments, '--ignore_cache')
    assert status == 2 and '--ignore_cache cannot be used by several workers' in out


@pytest.mark.parametrize('arguments, message', [
    (['-n', '2', '--', 'no-such-program'], 'error: cannot run no-such-program: there is no such program'),
    (['-n', '1', '--hosts', 'nowhere.txt', '--', 'true'], 'error: cannot read --hosts nowhere.txt'),
    (['-n', '2', '--', sys.executable, '-c', 'import sys; sys.exit(7)'], 'ended with status 7: the job is stopped'),
    (['-n', '2', '--root', '192.0.2.1', '--', 'true'], 'the scheduler cannot listen at 192.0.2.1, port 0'),
    (['-n', '2'], 'give the command behind --'),
    (['-n', '0', '--', 'true'], '-n and -s must be at least 1'),
])
def test_mistakes_end_with_one_line(arguments, message, tmp_path):
    status, _, err = run_script(LAUNCH, *arguments, cwd=tmp_path)
    assert status == 2 and message in err and 'Traceback' not in err


@pytest.mark.slow
def test_a_distributed_store_without_the_launcher_is_refused(experiment):
    launcher = 'start the job with `python tools/launch.py'
    for kvstore, message in (('dist_sync', launcher), ('dist_async', launcher),
                             ('dist_asinc', 'default.kvstore must be local, device, dist_sync')):
        status, _, err = run_script('rfcn/train_end2end.py', '--cfg', experiment[1],
                                    '--set', 'default.kvstore=' + kvstore)
        assert status == 2 and message in err


def test_hosts_are_names_not_options(tmp_path):
    (tmp_path / 'hosts').write_text('# machines\nalpha\n-oProxyCommand=x\n')
    status, _, err = run_script(LAUNCH, '-n', 1, '--hosts', tmp_path / 'hosts', '--', 'true')
    assert status == 2 and "expected the name of one machine a line, found '-oProxyCommand=x'" in err


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists('/proc/self'),
                    reason='whether a process is there is read in /proc, which Linux has')
def test_remote_processes_stop_when_asked_and_end_with_the_connection(tmp_path):
    """By a shell in the place of ssh: no other machine takes part."""
    rsh, hosts = tmp_path / 'rsh', tmp_path / 'hosts'
    rsh.write_text('#!/bin/sh\nexec sh -c "$2"\n')
    rsh.chmod(0o755)
    hosts.write_text('elsewhere\n')
    flags = ['-n', '1', '--hosts', str(hosts), '--root', '127.0.0.1', '--rsh', str(rsh)]
    code = ('import os, signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(5) if sys.argv[1] == '
            '"stops" else None)\nprint("up", os.getpid(), flush=True)\ntime.sleep(300)')
    job = Job(flags, [sys.executable, '-c', code, 'stops'])
    job.read_until('up')
    job.process.send_signal(signal.SIGINT)
    assert job.finish()[0] == 130

    job = Job(flags, [sys.executable, '-c', code, 'goes on'])
    job.read_until('up')
    remote = int(job.text.split()[-1])
    os.kill(job.pid('worker 0 on elsewhere'), signal.SIGKILL)       # the connection
    status, text = job.finish()
    assert status == 2 and 'error: worker 0 on elsewhere was killed by signal 9 (SIGKILL): the job is stopped' in text
    assert comes_true(lambda: not os.path.exists('/proc/%d' % remote))
