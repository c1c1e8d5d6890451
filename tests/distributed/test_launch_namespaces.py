"""Jobs over several network namespaces, each with its own address: machines as far as tools/launch.py can tell."""
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from lib.engine.checkpoint import find_checkpoint
from tests.helpers.launch_tools import ENDLESS, Job, comes_true, make_experiment, prefix, training

pytestmark = pytest.mark.slow
HUB, NAMES = 'dff%d' % os.getpid(), ['dff%d%s' % (os.getpid(), letter) for letter in 'ab']
ADDRESSES = {HUB: '10.88.0.254', NAMES[0]: '10.88.0.1', NAMES[1]: '10.88.0.2'}
INSIDE = ['ip', 'netns', 'exec', HUB]
ENDLESSLY = ['default.kvstore=dist_sync', 'TRAIN.end_epoch=%d' % ENDLESS]


def ip(*words):
    return subprocess.run(['ip'] + list(words), check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          universal_newlines=True).stdout


def processes(namespace):
    return [int(pid) for pid in ip('netns', 'pids', namespace).split()]


@pytest.fixture(scope='module')
def network():
    """Three namespaces on a bridge, the first, for the launcher, with the bridge in it."""
    if not shutil.which('ip'):
        pytest.skip('network namespaces cannot be made: there is no `ip` (Debian: iproute2)')
    made = []
    try:
        for name in ADDRESSES:
            ip('netns', 'add', name)
            made.append(name)
        ip('-n', HUB, 'link', 'add', 'bridge', 'type', 'bridge')
        for name in NAMES:
            ip('-n', HUB, 'link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name)
            ip('-n', HUB, 'link', 'set', name, 'master', 'bridge', 'up')
        for name, address in ADDRESSES.items():
            device = 'bridge' if name == HUB else 'eth0'
            ip('-n', name, 'address', 'add', address + '/24', 'dev', device)
            for link in ('lo', device):
                ip('-n', name, 'link', 'set', link, 'up')
        yield
    except subprocess.CalledProcessError as error:
        pytest.skip('network namespaces cannot be made here (Linux and root are needed): %s' % error.stderr.strip())
    finally:
        for name in made:
            for pid in processes(name):
                os.kill(pid, signal.SIGKILL)
            ip('netns', 'del', name)


@pytest.fixture(scope='module')
def experiment(network, tmp_path_factory):
    """(folder, YAML file)"""
    folder = tmp_path_factory.mktemp('namespaces')
    return folder, make_experiment(folder)


@pytest.fixture(scope='module')
def by_name(experiment):
    """The launcher's flags for jobs on the namespaces by `ip netns exec`."""
    folder, _ = experiment
    (folder / 'names').write_text(''.join(name + '\n' for name in NAMES))
    (folder / 'rsh').write_text('#!/bin/sh\nexec ip netns exec "$1" sh -c "$2"\n')
    (folder / 'rsh').chmod(0o755)
    return ['-n', '2', '--hosts', str(folder / 'names'), '--rsh', str(folder / 'rsh'), '--root', ADDRESSES[HUB]]


@pytest.fixture(scope='module')
def by_ssh(experiment):
    """The launcher's flags for jobs on the namespaces by ssh, with a server in each."""
    server = shutil.which('sshd', path=os.environ['PATH'] + ':/usr/sbin')
    if not server or not shutil.which('ssh-keygen'):
        pytest.skip('ssh cannot be tried: there is no sshd (Debian: openssh-server)')
    folder, _ = experiment
    os.makedirs('/run/sshd', mode=0o755, exist_ok=True)
    key = str(folder / 'key')
    subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', key], check=True)
    (folder / 'sshd_config').write_text('HostKey %s\nAuthorizedKeysFile %s.pub\nStrictModes no\nUsePAM no\n'
                                        'PermitRootLogin yes\nPidFile none\n'
                                        % (key, key))
    (folder / 'ssh_config').write_text('IdentityFile %s\nStrictHostKeyChecking no\nUserKnownHostsFile /dev/null\n'
                                       'LogLevel ERROR\n' % key)
    (folder / 'addresses').write_text(''.join(ADDRESSES[name] + '\n' for name in NAMES))
    for name in NAMES:       # its processes end with the namespace
        subprocess.run(['ip', 'netns', 'exec', name, server, '-f', str(folder / 'sshd_config')], check=True)
    rsh = 'ssh -F %s -o BatchMode=yes -o ServerAliveInterval=1 -o ServerAliveCountMax=3' % (folder / 'ssh_config')
    return ['-n', '2', '--hosts', str(folder / 'addresses'), '--rsh', rsh]


def python_process(namespace, role):
    """The number of the Python process with that role in the namespace."""
    for pid in processes(namespace):
        with open('/proc/%d/environ' % pid, 'rb') as stream:
            if b'DMLC_ROLE=%s\0' % role.encode() in stream.read() and 'python' in os.readlink('/proc/%d/exe' % pid):
                return pid
    raise AssertionError('no %s in %s' % (role, namespace))


def workers_left():
    def runs_python(pid):
        try:
            return 'python' in os.readlink('/proc/%d/exe' % pid)
        except FileNotFoundError:      # it has ended since it was listed
            return False
    return [pid for name in NAMES for pid in processes(name) if runs_python(pid)]


def received(namespace):
    with_header = ip('netns', 'exec', namespace, 'cat', '/proc/net/dev').splitlines()
    return next(int(line.split()[1]) for line in with_header if line.strip().startswith('eth0:'))


@pytest.mark.parametrize('role, name', [('worker', 'worker 1 on ' + NAMES[1]), ('server', 'server 0 on ' + NAMES[0])],
                         ids=['worker', 'server'])
def test_a_process_killed_elsewhere_ends_the_job_which_goes_on(experiment, by_name, role, name):
    before = received(NAMES[1])
    job = Job(by_name, training(experiment, role, *ENDLESSLY), INSIDE)
    job.read_until('epoch 2 batch 3/4')
    os.kill(python_process(NAMES[int(role == 'worker')], role), signal.SIGKILL)
    status, text = job.finish()
    assert status == 2 and 'error: %s was killed by signal 9 (SIGKILL): the job is stopped' % name in text
    assert received(NAMES[1]) - before > 10 ** 6        # five times the network's 0.8 MB, at least
    assert comes_true(lambda: not workers_left())

    start = find_checkpoint(prefix(experiment, role))
    settings = ['default.kvstore=dist_sync', 'TRAIN.end_epoch=%d' % (start.epoch + 1)]
    status, text = Job(by_name, training(experiment, role, *settings, flags=['--resume']), INSIDE).finish()
    assert status == 0 and 'resuming from %s' % start.params_file in text
    assert find_checkpoint(prefix(experiment, role)).epoch == start.epoch + 1


def test_a_job_by_ssh_stops_when_asked_and_names_a_machine_that_is_cut_off(experiment, by_ssh):
    job = Job(by_ssh, training(experiment, 'ssh', *ENDLESSLY), INSIDE)
    job.read_until('epoch 1 batch 3/4')
    job.process.send_signal(signal.SIGTERM)
    status, text = job.finish()
    first = find_checkpoint(prefix(experiment, 'ssh'))
    assert status == 143 and '--resume continues from %s' % first.params_file in text
    assert comes_true(lambda: not workers_left())

    job = Job(by_ssh, training(experiment, 'ssh', *ENDLESSLY, flags=['--resume']), INSIDE)
    job.read_until('resuming from %s' % first.params_file)
    job.read_until('batch 4/4')
    ip('-n', HUB, 'link', 'set', NAMES[1], 'down')
    try:
        status, text = job.finish()
    finally:
        ip('-n', HUB, 'link', 'set', NAMES[1], 'up')
    assert status == 2 and 'error: worker 1 on %s ended with status 255' % ADDRESSES[NAMES[1]] in text
    # Its own sshd learns of the end when the cable is back, and closes the worker's input.
    assert comes_true(lambda: not workers_left())


def test_processes_that_cannot_reach_the_scheduler_say_so(experiment, by_name):
    code = 'import lib.engine.distributed as d; d.REPORT_EVERY = 2; d.connect("dist_sync")'
    ip('-n', HUB, 'address', 'add', '10.99.0.1/32', 'dev', 'lo')       # to which the others have no way
    job = Job(by_name[:-1] + ['10.99.0.1'], [sys.executable, '-c', code], INSIDE)
    job.read_until('waiting for the other processes of the job. Does each run, and can all machines reach the '
                   'scheduler at 10.99.0.1:')
    job.process.send_signal(signal.SIGTERM)
    assert job.finish()[0] == 143


def test_a_process_stopped_elsewhere_is_named(by_name, root):
    """And killed, with the job: no answer is waited for."""
    code = ('import sys, time; sys.path.insert(0, %r)\nfrom lib.jobs import signs\nsigns.start()\n'
            'print("up", flush=True)\nwhile True: time.sleep(0.1)' % str(root))
    job = Job(by_name + ['--patience', '3'], [sys.executable, '-c', code], INSIDE)
    job.read_until('up')
    job.read_until('up')
    time.sleep(1.5)
    os.kill(python_process(NAMES[1], 'worker'), signal.SIGSTOP)
    job.read_until('worker 1 on %s has given no sign of life for 3 s' % NAMES[1])
    began = time.monotonic()
    job.process.send_signal(signal.SIGTERM)
    status, text = job.finish()
    assert status == 143 and time.monotonic() - began < 15
    assert 'as worker 1 on %s gave no answer' % NAMES[1] in text
    assert comes_true(lambda: not workers_left(), 30)


def test_a_killed_launcher_takes_those_elsewhere_with_it(by_name):
    job = Job(by_name, [sys.executable, '-c', 'import time; print("up", flush=True); time.sleep(300)'], INSIDE)
    job.read_until('up')
    job.read_until('up')
    assert workers_left()
    job.process.kill()
    job.process.wait()
    assert comes_true(lambda: not workers_left(), 30)
