"""Jobs whose launcher is killed, or whose processes are stopped or wait for a disk."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from lib.jobs import signs
from lib.jobs.signs import Listener, Sign, Watch
from tests.helpers.launch_tools import ENDLESS, Job, comes_true, make_experiment, training
from tests.helpers.power import Image

WORKER = '''import os, sys, time
sys.path.insert(0, %r)
from lib.jobs import signs
signs.start()
print("up", os.getpid(), flush=True)
while True:
    %s
    signs.progress("a step")
    time.sleep(0.1)
'''
in_proc = pytest.mark.skipif(not os.path.exists('/proc/self'),
                             reason='whether a process is there is read in /proc, which Linux has')


def is_there(pid):
    """Whether a process runs; one that has ended and waits for its parent does not."""
    try:
        with open('/proc/%d/stat' % pid) as stream:
            return stream.read().rpartition(')')[2].split()[0] not in 'ZX'
    except FileNotFoundError:
        return False


def pids_of(job):
    return [int(pid) for pid in re.findall(r'\(process (\d+)\)', job.text)]


@in_proc
def test_a_killed_launcher_takes_all_with_it(root):
    """Even what a worker has started, as a script around it does."""
    child = 'import os, time; print("child", os.getpid(), flush=True); time.sleep(300)'
    code = 'import subprocess, sys; subprocess.call([sys.executable, "-c", %r])' % child
    job = Job(['-n', '1'], [sys.executable, '-c', code])
    job.read_until('child')
    pids = pids_of(job) + [int(job.text.split()[-1])]
    assert len(pids) == 4 and all(is_there(pid) for pid in pids)
    job.process.kill()
    job.process.wait()
    assert comes_true(lambda: not any(is_there(pid) for pid in pids), 15)


@in_proc
@pytest.mark.slow
def test_a_training_does_not_outlive_its_launcher_and_goes_on(tmp_path):
    experiment = tmp_path, make_experiment(tmp_path)
    command = training(experiment, 'out', 'default.kvstore=dist_sync', 'TRAIN.end_epoch=%d' % ENDLESS)
    job = Job(['-n', '2'], command)
    job.read_until('epoch 1 batch 3/4')
    job.process.kill()
    job.process.wait()
    again = Job(['-n', '2'], command + ['TRAIN.RESUME=true'])
    again.read_until('resuming from')
    assert not any(is_there(pid) for pid in pids_of(job))
    again.process.send_signal(signal.SIGTERM)
    assert again.finish()[0] == 143


@in_proc
@pytest.mark.slow
def test_a_stopped_worker_is_named_and_does_not_hold_up_the_end(root):
    job = Job(['-n', '2', '--patience', '3'], [sys.executable, '-c', WORKER % (str(root), 'pass')])
    job.read_until('up')
    job.read_until('up')
    time.sleep(1.5)
    pid = job.pid('worker 1')
    os.kill(pid, signal.SIGSTOP)
    job.read_until('worker 1 has given no sign of life for 3 s: it is stopped (SIGSTOP, a debugger), or its machine or '
                   'the network is away. The job waits for it; Ctrl-C or SIGTERM ends the job')
    os.kill(pid, signal.SIGCONT)
    job.read_until('worker 1 continues')
    os.kill(pid, signal.SIGSTOP)
    job.read_until('worker 1 has given no sign of life')
    assert job.text.count('no sign of life') == 2 and 'worker 0 has' not in job.text
    began = time.monotonic()
    job.process.send_signal(signal.SIGTERM)
    status, text = job.finish()
    assert status == 143 and time.monotonic() - began < 15
    assert 'the job is stopped without a checkpoint, as worker 1 gave no answer; --resume continues' in text
    assert not is_there(pid)


@in_proc
@pytest.mark.slow
def test_a_stopped_server_is_named(root):
    job = Job(['-n', '1', '--patience', '3'], [sys.executable, '-c', WORKER % (str(root), 'pass')])
    job.read_until('up')
    time.sleep(8)      # servers give signs before they import MXNet, and after it
    os.kill(job.pid('server 0'), signal.SIGSTOP)
    job.read_until('server 0 has given no sign of life for 3 s')
    job.process.send_signal(signal.SIGTERM)
    assert job.finish()[0] == 143


@in_proc
@pytest.mark.slow
def test_a_disk_that_hangs_is_named(root, tmp_path):
    if not shutil.which('fsfreeze'):
        pytest.skip('no disk can be made to hang: there is no fsfreeze (Debian: util-linux)')
    image = Image(tmp_path)
    file = image.place / 'x'
    step = 'open(%r, "a").write("x" * 10000)' % str(file)
    job = Job(['-n', '1', '--patience', '3'], [sys.executable, '-c', WORKER % (str(root), step)])
    guard = threading.Timer(45, job.process.kill)      # nothing may leave a disk behind that hangs
    guard.start()
    try:
        job.read_until('up')
        assert comes_true(file.exists, 20)
        time.sleep(2.5)      # a process is watched from its first sign on
        subprocess.run(['fsfreeze', '-f', str(image.place)], check=True)
        try:
            job.read_until('worker 0 has waited for a disk for 3 s without a step of work')
            began = time.monotonic()
            job.process.send_signal(signal.SIGTERM)
            job.process.wait()
            assert time.monotonic() - began < 15
        finally:
            subprocess.run(['fsfreeze', '-u', str(image.place)], check=True)
        assert job.finish()[0] == 143
    finally:
        guard.cancel()
        image.remove()


class Some:
    """A process that runs."""

    def __init__(self, name):
        self.name, self.sign = name, Sign()

    def status(self):
        return None


def test_where_no_process_makes_a_step_it_is_said_once():
    processes, lines = [Some('worker 0'), Some('worker 1'), Some('server 0')], []
    watch = Watch(processes, 10.0, lines.append)
    watch.look()
    now = time.monotonic()
    for process in processes[:2]:
        process.sign.at, process.sign.progress_at, process.sign.what = now, now - 51, 'batch 3 of epoch 1'
    watch.look()
    watch.look()
    assert lines == ['no process has made a step for 50 s; the last were worker 0: batch 3 of epoch 1; '
                     'worker 1: batch 3 of epoch 1']
    assert watch.hangs(10) == ['worker 0', 'worker 1', 'server 0']
    processes[1].sign.progress_at = now
    watch.look()
    assert len(lines) == 1 and watch.hangs(10) == []


def test_another_reason_is_another_line():
    process, lines = Some('worker 0'), []
    watch, now = Watch([process], 10.0, lines.append), time.monotonic()
    process.sign.at = now - 11
    watch.look()
    process.sign.at, process.sign.disk, process.sign.progress_at = now, 12.0, now - 30
    watch.look()
    watch.look()
    assert [line.split(' for ')[0] for line in lines] == ['worker 0 has given no sign of life',
                                                          'worker 0 has waited']
    process.sign.disk = 0.0
    watch.look()
    assert lines[2:] == ['worker 0 continues']


def test_signs_of_strangers_are_no_signs(monkeypatch):
    listener = Listener('127.0.0.1')
    sign, variable = listener.add()
    address, port, token, number = json.loads(variable)
    good = {'token': token, 'number': number, 'count': 3, 'what': 'x', 'disk': 0}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for content in (b'', b'\xff', b'[]', b'3', b'[' * 3000, json.dumps(dict(good, token='other')).encode(),
                        json.dumps(dict(good, number=7)).encode(), json.dumps(dict(good, number='a')).encode(),
                        json.dumps(dict(good, disk=[])).encode()):
            sender.sendto(content, (address, port))
        time.sleep(0.2)
        listener.take()
        assert sign.what in ('', 'x') and sign.disk == 0
        sender.sendto(json.dumps(good).encode(), (address, port))
        time.sleep(0.2)
        listener.take()
    assert sign.count == 3 and sign.what == 'x' and sign.at is not None
    monkeypatch.setenv(signs.VARIABLE, 'no list')
    signs.start()
