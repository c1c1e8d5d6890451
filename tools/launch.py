"""Run one job on several processes or machines, by MXNet's distributed kvstore.

    python tools/launch.py -n 2 -- python dff_rfcn/train_end2end.py --cfg FILE.yaml --set default.kvstore=dist_sync
    python tools/launch.py -n 4 -s 2 --hosts hosts.txt -- python dff_rfcn/test.py --cfg FILE.yaml

Training splits every batch over the workers, testing the clips. A process that ends with an error,
or disappears, ends the job. See docs/distributed.md.
"""
import argparse
import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from lib.utils.cli import run  # noqa: E402
from dff.errors import ConfigError, DFFError, Stopped  # noqa: E402
from lib.utils.threads import physical_cores  # noqa: E402

GRACE = 5.0          # seconds that what is left of a failed job has after each step towards its end
STOP_GRACE = 120.0   # for a job that was asked to stop: it writes a checkpoint
# Servers and the scheduler do their work inside the import of MXNet, and end the process there.
SERVE = [sys.executable, '-c', 'import lib, mxnet']
# A machine that no longer answers ends its connection after 15 seconds.
RSH = 'ssh -o BatchMode=yes -o ServerAliveInterval=5 -o ServerAliveCountMax=3'
# What a remote process must know, beside MXNet's own variables.
PASSED = ('OMP_NUM_THREADS', 'PYTHONPATH', 'PATH', 'LD_LIBRARY_PATH', 'DMLC_INTERFACE')
# A command on another machine: a line of input asks it to stop, the end of the input (of the connection) ends it.
REMOTE = (
    'cd %s && exec 3<&0 && { env %s %s 3<&- & child=$!; { while read -r line <&3; do kill -TERM '
    '$child; done; kill -KILL $child; } & wait $child; status=$?; kill $!; exit $status; }')


class Process:
    """One process of the job, whose output appears with its name before each line.

    Args:
        name: for messages.
        command: [word].
        variables: {name: value} of its environment, beside this process's.
        rsh: command that is called with a host and a line for its shell.
        host: where it runs; None: here, without rsh.
        folder: to run it in.
    """

    def __init__(self, name, command, variables, rsh, host=None, folder=ROOT):
        self.name = name if host is None else '%s on %s' % (name, host)
        self._remote = host is not None
        environment = dict(os.environ, **variables)
        if self._remote:
            passed = dict({key: os.environ[key] for key in PASSED if key in os.environ}, **variables)
            words = ['%s=%s' % (key, shlex.quote(value)) for key, value in sorted(passed.items())]
            line = REMOTE % (shlex.quote(folder), ' '.join(words), ' '.join(map(shlex.quote, command)))
            command = shlex.split(rsh) + [host, 'exec sh -c ' + shlex.quote(line)]
        self.process = subprocess.Popen(
            command, env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            stdin=subprocess.PIPE if self._remote else subprocess.DEVNULL, start_new_session=True)
        self._reader = threading.Thread(target=self._copy, daemon=True)
        self._reader.start()

    def _copy(self):
        for line in self.process.stdout:
            sys.stdout.write('[%s] %s\n' % (self.name, line.decode('utf-8', 'replace').rstrip('\r\n')))
            sys.stdout.flush()

    def status(self):
        """Exit status, negative for a signal; None while it runs."""
        return self.process.poll()

    def ask(self):
        """Ask it to stop, by SIGTERM."""
        if self._remote:
            self._input(b'stop\n')
        else:
            self._signal(signal.SIGTERM)

    def end(self):
        """End it, a remote one by closing the connection."""
        if self._remote:
            self._input(b'')
        else:
            self.kill()

    def kill(self):
        """Kill what is left of it here."""
        self._signal(signal.SIGKILL)

    def _input(self, text):
        """Write `text`; nothing: close the input."""
        with contextlib.suppress(OSError, ValueError):     # it has gone, or the input is closed
            self.process.stdin.write(text)
            self.process.stdin.flush()
            if not text:
                self.process.stdin.close()

    def _signal(self, number):
        if self.status() is None:
            os.killpg(self.process.pid, number)

    def finish_output(self):
        """Wait until its last lines are copied."""
        self._reader.join(2)


def parse_arguments():
    """The command line; everything behind -- is the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                     usage='%(prog)s -n WORKERS [options] -- COMMAND ...')
    parser.add_argument('-n', '--workers', type=int, required=True, metavar='N', help='processes that train or test')
    parser.add_argument('-s', '--servers', type=int, default=1, metavar='N',
                        help='processes that sum the gradients (default 1)')
    parser.add_argument(
        '--hosts', metavar='FILE',
        help='machines to use in turn, one name a line, by ssh; default: this one alone')
    parser.add_argument(
        '--rsh', default=RSH, metavar='COMMAND',
        help='what runs a command on a machine, called as COMMAND MACHINE LINE-FOR-ITS-SHELL '
             '(default: %(default)s)')
    parser.add_argument('--root', metavar='ADDRESS', help='address of this machine for the others (default: found out)')
    parser.add_argument('--port', type=int, default=0, help='port of the scheduler (default: a free one)')
    parser.add_argument('command', nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.command = args.command[1:] if args.command[:1] == ['--'] else args.command
    if not args.command:
        parser.error('what is to run? give the command behind --')
    if args.workers < 1 or args.servers < 1:
        parser.error('-n and -s must be at least 1')
    return args


def read_hosts(path):
    """Names of machines, one a line; comments (#) and empty lines are left out. Raises ConfigError."""
    try:
        with open(path, encoding='utf-8') as stream:
            hosts = [line.split('#')[0].strip() for line in stream]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError('cannot read --hosts %s: %s' % (path, error)) from error
    hosts = [host for host in hosts if host]
    for host in hosts:
        if host.startswith('-') or len(host.split()) > 1:
            raise ConfigError('%s: expected the name of one machine a line, found %r' % (path, host))
    if not hosts:
        raise ConfigError('%s names no machine' % path)
    return hosts


def own_address(host):
    """Address of this machine as `host` sees it. Raises ConfigError where its name is unknown."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((host.split('@')[-1], 9))      # sends nothing
            return probe.getsockname()[0]
    except OSError as error:
        raise ConfigError(
            'the machine %s is unknown here (%s): give --root, this machine\'s address for it'
            % (host, error)) from error


def port_of(root, port):
    """`port`, or for 0 a free one, of this machine's address `root`.

    Raises ConfigError where nothing can listen there.
    """
    try:
        with socket.socket() as probe:
            # Closed connections keep it in use for a while.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((root, port))
            return probe.getsockname()[1]
    except (OSError, OverflowError) as error:
        raise ConfigError(
            'the scheduler cannot listen at %s, port %d (%s): --root must be an address of this '
            'machine, --port a free port of it' % (root, port, error)) from error


def start(args, helpers, workers):
    """Start every process of the job.

    Args:
        args: the command line.
        helpers, workers: lists that get the scheduler and the servers, and the workers.

    Raises:
        ConfigError: a machine is unknown, or the scheduler cannot listen.
    """
    hosts = read_hosts(args.hosts) if args.hosts else None
    root = args.root or (own_address(hosts[0]) if hosts else '127.0.0.1')
    common = {'DMLC_PS_ROOT_URI': root, 'DMLC_PS_ROOT_PORT': str(port_of(root, args.port)),
              'DMLC_NUM_WORKER': str(args.workers), 'DMLC_NUM_SERVER': str(args.servers)}
    if hosts is None:
        common['DMLC_NODE_HOST'] = '127.0.0.1'
        share = str(max(1, physical_cores() // args.workers))
        common.setdefault('OMP_NUM_THREADS', os.environ.get('OMP_NUM_THREADS', share))
    scheduler = dict(common, DMLC_ROLE='scheduler', DMLC_NODE_HOST=root, PYTHONPATH=ROOT)
    helpers.append(Process('scheduler', SERVE, scheduler, args.rsh))
    for index in range(args.servers):
        variables = dict(common, DMLC_ROLE='server', PYTHONPATH=ROOT)
        helpers.append(Process('server %d' % index, SERVE, variables, args.rsh, hosts and hosts[index % len(hosts)]))
    for index in range(args.workers):
        variables = dict(common, DMLC_ROLE='worker', DFF_WORKER='%d/%d' % (index, args.workers))
        host = hosts and hosts[index % len(hosts)]
        workers.append(Process('worker %d' % index, args.command, variables, args.rsh, host, os.getcwd()))


def watch(helpers, workers, stop):
    """Wait for the end of the job.

    Args:
        helpers, workers: [Process], see start.
        stop: list that gets the number of a signal that came.

    Raises:
        DFFError: a process failed.
        Stopped: the job was asked to stop.
    """
    while True:
        done = all(worker.status() is not None for worker in workers)
        failed = [process for process in workers + helpers if process.status() not in (None, 0)]
        if stop:
            stop_in_order(workers, stop[0])
        if failed:
            failed[0].finish_output()
            raise DFFError(
                '%s %s: the job is stopped. Its reason is above, if it gave one; the same command '
                'with --resume goes on from the newest '
                'checkpoint' % (failed[0].name, describe(failed[0].status())))
        if done:
            return
        time.sleep(0.1)


def stop_in_order(workers, number):
    """Let the workers write a checkpoint and end. Raises Stopped."""
    for worker in workers:
        worker.ask()
    deadline = time.monotonic() + STOP_GRACE
    while time.monotonic() < deadline and any(worker.status() is None for worker in workers):
        time.sleep(0.1)
    for worker in workers:
        worker.finish_output()
    raise Stopped('the job is stopped; --resume goes on', number)


def describe(status):
    """An exit status in words; a shell between adds 128 to the number of a signal."""
    number = -status if status < 0 else status - 128
    if number in set(signal.Signals):
        return 'was killed by signal %d (%s)' % (number, signal.Signals(number).name)
    return 'ended with status %d' % status


def end(processes):
    """Leave none of the processes behind."""
    for step in (Process.ask, Process.end, Process.kill):
        for process in processes:
            step(process)
        deadline = time.monotonic() + GRACE
        while time.monotonic() < deadline and any(process.status() is None for process in processes):
            time.sleep(0.05)


def main():
    """Run the command."""
    args = parse_arguments()
    stop = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: stop.append(received))
    helpers, workers = [], []
    try:
        start(args, helpers, workers)
        started = ', '.join('%s (process %d)' % (p.name, p.process.pid) for p in helpers + workers)
        print('started: %s' % started, flush=True)
        watch(helpers, workers, stop)
    except FileNotFoundError as error:
        raise ConfigError('cannot run %s: there is no such program' % error.filename) from error
    finally:
        end(workers + helpers)
        for process in workers + helpers:
            process.finish_output()


if __name__ == '__main__':
    run(main)
