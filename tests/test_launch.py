"""Jobs of several processes on this machine, by tools/launch.py."""
import json
import os
import re
import signal
import subprocess
import sys

import mxnet as mx
import numpy as np
import pytest

from lib.core.checkpoint import positions
from lib.dataset.toy_generator import Size, generate
from tests.tiny import run_script, write_experiment

LAUNCH = 'tools/launch.py'


@pytest.fixture(scope='module')
def experiment(tmp_path_factory):
    """(folder, YAML file) of a tiny network with 8 training images and 3 test clips, and its parameters after one epoch."""
    folder = tmp_path_factory.mktemp('launch')
    generate(str(folder / 'toy_vid'), Size(train_clips=1, train_length=15, stills=0, val_clips=3, val_length=3), workers=1)
    names = folder / 'toy_vid' / 'ImageSets' / 'VID_train_15frames.txt'
    names.write_text(''.join(line + '\n' for line in names.read_text().splitlines()[::2]))
    return folder, write_experiment(folder, 'rfcn', TRAIN__FLIP=False, TRAIN__end_epoch=1, TRAIN__CHECKPOINT_EVERY=2, default__frequent=1)


def arrays(experiment, output):
    where = experiment[0] / output / 'tiny_rfcn' / 'VID_train_15frames' / 'tiny-0001'
    return {name: array.asnumpy() for kind in ('.params', '.states') for name, array in mx.nd.load(str(where) + kind).items()}


def command(experiment, output, *flags):
    words = [LAUNCH, '-n', '2', '--', sys.executable, 'rfcn/train_end2end.py', '--cfg', str(experiment[1])] + list(flags)
    return [sys.executable] + words + ['--set', 'default.kvstore=dist_sync', 'output_path=%s' % (experiment[0] / output)]


def test_two_workers_train_as_two_devices_even_when_one_is_killed(experiment, root):
    status, _, err = run_script('rfcn/train_end2end.py', '--cfg', experiment[1], '--gpus', 'cpu,cpu', '--set',
                                'output_path=%s' % (experiment[0] / 'devices'))
    assert status == 0, err

    process = subprocess.Popen(command(experiment, 'workers'), cwd=str(root), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               universal_newlines=True, env=dict(os.environ, OMP_NUM_THREADS='1'))
    lines = []
    for line in process.stdout:
        lines.append(line)
        if 'epoch 1 batch 3/4' in line:
            os.kill(int(re.search(r'worker 1 \(process (\d+)\)', ''.join(lines)).group(1)), signal.SIGKILL)
    assert process.wait(60) == 2
    text = ''.join(lines)
    assert 'error: worker 1 was killed by signal 9 (SIGKILL): the job is stopped' in text and '--resume goes on' in text
    assert 'effective learning rate 0.0005 = TRAIN.lr 0.00025 x 2 devices' in text
    assert text.count('epoch 1 batch 1/4') == 1                     # one worker logs for all
    prefix = str(experiment[0] / 'workers' / 'tiny_rfcn' / 'VID_train_15frames' / 'tiny')
    assert positions(prefix) == {(0, 2)}

    resumed = subprocess.run(command(experiment, 'workers', '--resume'), cwd=str(root), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             universal_newlines=True, timeout=300, env=dict(os.environ, OMP_NUM_THREADS='1'))
    assert resumed.returncode == 0, resumed.stdout
    assert 'resuming from %s-0000-000002.params' % prefix in resumed.stdout
    devices, workers = arrays(experiment, 'devices'), arrays(experiment, 'workers')
    assert devices.keys() == workers.keys() and all(np.array_equal(devices[name], workers[name]) for name in devices)


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
    (['-n', '2'], 'give the command behind --'),
    (['-n', '0', '--', 'true'], '-n and -s must be at least 1'),
])
def test_mistakes_end_with_one_line(arguments, message, tmp_path):
    status, _, err = run_script(LAUNCH, *arguments, cwd=tmp_path)
    assert status == 2 and message in err and 'Traceback' not in err


def test_a_distributed_store_without_the_launcher_is_refused(experiment):
    for kvstore, message in (('dist_sync', 'start the job with `python tools/launch.py'), ('dist_async', 'only dist_sync and dist_dev')):
        status, _, err = run_script('rfcn/train_end2end.py', '--cfg', experiment[1], '--set', 'default.kvstore=' + kvstore)
        assert status == 2 and message in err


def test_hosts_are_names_not_options(tmp_path):
    (tmp_path / 'hosts').write_text('# machines\nalpha\n-oProxyCommand=x\n')
    status, _, err = run_script(LAUNCH, '-n', 1, '--hosts', tmp_path / 'hosts', '--', 'true')
    assert status == 2 and "expected the name of one machine a line, found '-oProxyCommand=x'" in err
