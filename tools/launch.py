"""Run one job on several processes or machines, by MXNet's distributed kvstore.

    python tools/launch.py -n 2 -- python dff_rfcn/train_end2end.py --cfg FILE.yaml --set default.kvstore=dist_sync
    python tools/launch.py -n 4 -s 2 --hosts hosts.txt -- python dff_rfcn/test.py --cfg FILE.yaml

Training splits every batch over the workers, testing the clips. A process that ends with an error,
or disappears, ends the job. See docs/distributed.md.
"""
import argparse
import os
import signal
import socket
import sys
import time
import uuid

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from lib.utils.cli import run  # noqa: E402
from dff.errors import ConfigError, DFFError, Stopped  # noqa: E402
from lib.jobs import signs  # noqa: E402
from lib.jobs.processes import Guard, Process, describe, end  # noqa: E402
from lib.jobs.signs import Listener, Watch  # noqa: E402
from lib.utils.threads import physical_cores  # noqa: E402

STOP_GRACE = 120.0   # seconds for a job that was asked to stop: it writes a checkpoint
HUNG_GRACE = 3.0     # the same where a process of it gives no answer
SILENCE = 10.0       # seconds without a sign of life, after which a process that was asked to stop counts as such
# Servers and the scheduler do their work inside the import of MXNet, and end the process there.
SERVE = [sys.executable, '-c', 'import lib; from lib.jobs import signs; signs.start(); import mxnet']
# A machine that no longer answers ends its connection after 15 seconds.
RSH = 'ssh -o BatchMode=yes -o ServerAliveInterval=5 -o ServerAliveCountMax=3'


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
    parser.add_argument('--patience', type=float, default=60.0, metavar='SECONDS',
                        help='a process that gives no sign of life for so long is named (default %(default)g)')
    parser.add_argument('command', nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.command = args.command[1:] if args.command[:1] == ['--'] else args.command
    if not args.command:
        parser.error('what is to run? give the command behind --')
    if args.workers < 1 or args.servers < 1:
        parser.error('-n and -s must be at least 1')
    if not args.patience > 0:
        parser.error('--patience must be above 0')
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


class Job:
    """The processes of a job: scheduler and servers in `helpers`, and `workers`.

    Args:
        args: of parse_arguments.
    """

    def __init__(self, args):
        self.helpers, self.workers = [], []
        self._args, self._guard = args, Guard()
        self._hosts = read_hosts(args.hosts) if args.hosts else None
        root = args.root or (own_address(self._hosts[0]) if self._hosts else '127.0.0.1')
        self._common = {'DMLC_PS_ROOT_URI': root, 'DMLC_PS_ROOT_PORT': str(port_of(root, args.port)),
                        'DMLC_NUM_WORKER': str(args.workers), 'DMLC_NUM_SERVER': str(args.servers),
                        'DFF_JOB': uuid.uuid4().hex}
        if self._hosts is None:
            self._common['DMLC_NODE_HOST'] = '127.0.0.1'
            threads = str(max(1, physical_cores() // args.workers))
            self._common['OMP_NUM_THREADS'] = os.environ.get('OMP_NUM_THREADS', threads)
        self._root, self._listener = root, Listener(root)
        self.watch = Watch(self, args.patience, lambda line: print(line, file=sys.stderr, flush=True))

    def __iter__(self):
        return iter(self.workers + self.helpers)

    def start(self):
        """Start every process."""
        serve = {'PYTHONPATH': ROOT}
        here = dict(serve, DMLC_ROLE='scheduler', DMLC_NODE_HOST=self._root)
        self._add(self.helpers, 'scheduler', SERVE, here, None)
        for index in range(self._args.servers):
            self._add(self.helpers, 'server %d' % index, SERVE, dict(serve, DMLC_ROLE='server'), index)
        for index in range(self._args.workers):
            place = '%d/%d' % (index, self._args.workers)
            self._add(self.workers, 'worker %d' % index, self._args.command,
                      dict(DMLC_ROLE='worker', DFF_WORKER=place), index, os.getcwd())

    def _add(self, group, name, command, variables, index, folder=ROOT):
        """Start one process; index: picks its machine, None for this one."""
        sign, address = self._listener.add()
        host = self._hosts[index % len(self._hosts)] if self._hosts and index is not None else None
        variables = dict(self._common, **variables, **{signs.VARIABLE: address})
        group.append(Process(name, command, variables, self._args.rsh, sign, host, folder))
        self._guard.add(group[-1])

    def look(self):
        """Take signs of life, and name who gives none."""
        self._listener.take()
        self.watch.look()

    def end(self):
        """Leave no process behind."""
        end(list(self))
        for process in self:
            process.finish_output()
        self._guard.dismiss()


def wait(job, stop):
    """Wait for the end of the job. Raises DFFError when a process fails, Stopped when asked to stop."""
    while True:
        done = all(worker.status() is not None for worker in job.workers)
        failed = [process for process in job if process.status() not in (None, 0)]
        if stop:
            stop_in_order(job, stop[0])
        if failed:
            failed[0].finish_output()
            raise DFFError(
                '%s %s: the job is stopped. Its reason is above, if it gave one; the same command '
                'with --resume continues from the newest '
                'checkpoint' % (failed[0].name, describe(failed[0].status())))
        if done:
            return
        job.look()
        time.sleep(0.1)


def stop_in_order(job, number):
    """Let the workers write a checkpoint and end. Raises Stopped."""
    for worker in job.workers:
        worker.ask()
    began, hung = time.monotonic(), []
    while any(worker.status() is None for worker in job.workers):
        job.look()
        hung = job.watch.hangs(SILENCE)
        if time.monotonic() > began + (HUNG_GRACE if hung else STOP_GRACE):
            break
        time.sleep(0.1)
    for worker in job.workers:
        worker.finish_output()
    without = 'without a checkpoint, as %s gave no answer' % ', '.join(hung)
    raise Stopped('the job is stopped%s; --resume continues' % (' ' + without if hung else ''), number)


def main():
    """Entry point."""
    args = parse_arguments()
    stop = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: stop.append(received))
    job = Job(args)
    try:
        job.start()
        print('started: %s' % ', '.join('%s (process %d)' % (p.name, p.process.pid) for p in job.helpers + job.workers),
              flush=True)
        wait(job, stop)
    except FileNotFoundError as error:
        raise ConfigError('cannot run %s: there is no such program' % error.filename) from error
    finally:
        job.end()


if __name__ == '__main__':
    run(main)
