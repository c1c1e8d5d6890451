"""Signs of life: the processes of a job tell tools/launch.py every second that they run, and what they did last.

They go as datagrams to the launcher's machine, so that they need neither the processes' output nor
a disk. A process that is stopped sends none; one that a disk keeps waiting says so.
"""
import contextlib
import glob
import json
import os
import socket
import threading
import time
import uuid

EVERY = 1.0                  # seconds
STEM = len('has waited')     # letters by which reasons to name a process are told apart
VARIABLE = 'DFF_SIGNS'       # in a process's environment: JSON list, [address, port, token, number of the process]

_done = {'count': 0, 'what': ''}


def progress(what):
    """Note that a step of the work is done; what: it, in a few words, such as 'batch 3 of epoch 1'."""
    _done.update(count=_done['count'] + 1, what=what)


def start():
    """Begin to send signs, where this process is one of a job. Processes that it starts send none."""
    try:
        address, port, token, number = json.loads(os.environ.pop(VARIABLE, 'null'))
    except (TypeError, ValueError):
        return
    threading.Thread(target=_send, args=((address, port), token, number), daemon=True).start()


def _send(address, token, number):
    waits_since = None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        while True:
            now = time.monotonic()
            waits_since = (waits_since or now) if _waits_for_a_disk() else None
            sign = dict(_done, token=token, number=number, disk=now - waits_since if waits_since else 0)
            with contextlib.suppress(OSError):      # the network is away: so are the signs
                sender.sendto(json.dumps(sign).encode(), address)
            time.sleep(EVERY)


def _waits_for_a_disk():
    """Whether a thread of this process waits in a call that nothing interrupts (state D of Linux)."""
    for path in glob.glob('/proc/self/task/*/stat'):
        with contextlib.suppress(OSError), open(path, encoding='utf-8', errors='replace') as stream:
            if stream.read().rpartition(')')[2].split()[:1] == ['D']:
                return True
    return False


class Sign:
    """What is known of one process.

    Attributes: at: time of its last sign, None before the first; progress_at: of its last step, None before the
    first; what: the step; disk: seconds for which it has waited for a disk.
    """

    def __init__(self):
        self.at = self.progress_at = None
        self.count, self.what, self.disk = 0, '', 0.0


class Listener:
    """Takes the signs of a job's processes; address: of this machine for them, '' for any."""

    def __init__(self, address):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 0))
        self._socket.setblocking(False)
        self._address, self._token, self._signs = address, uuid.uuid4().hex, []

    def add(self):
        """Return (Sign, value of VARIABLE) for one more process."""
        self._signs.append(Sign())
        port = self._socket.getsockname()[1]
        return self._signs[-1], json.dumps([self._address, port, self._token, len(self._signs) - 1])

    def take(self):
        """Take the signs that have come."""
        with contextlib.suppress(BlockingIOError):
            while True:
                try:
                    received = json.loads(self._socket.recv(4096).decode())
                    if received['token'] == self._token:
                        self._note(self._signs[received['number']], received)
                except (ValueError, TypeError, KeyError, IndexError, RecursionError):
                    continue      # it is of somebody else

    @staticmethod
    def _note(sign, received):
        sign.at = time.monotonic()
        if received['count'] != sign.count:
            sign.count, sign.progress_at = received['count'], sign.at
        sign.what, sign.disk = str(received['what'])[:80], float(received['disk'])


class Watch:
    """Names the processes of a job that have stopped, in lines for `report`.

    Args:
        processes: objects with the attributes name and sign, and status(), None while they run.
        patience: seconds without a sign, or of waiting for a disk without a step, after which a process is
            named; where no process makes a step for STALL times as long, that is said, too.
        report: called with each line.
    """

    STALL = 5

    def __init__(self, processes, patience, report):
        self._processes, self._patience, self._report = processes, patience, report
        self._named, self._stalled = {}, False

    def look(self):
        """Name those that have stopped since the last call, and those that go on."""
        now = time.monotonic()
        running = [process for process in self._processes if process.status() is None]
        for process in running:
            why = self._why(process.sign, now)
            if why and self._named.get(process, '')[:STEM] != why[:STEM]:
                self._report('%s %s. The job waits for it; Ctrl-C or SIGTERM ends the job' % (process.name, why))
            elif process in self._named and not why:
                self._report('%s continues' % process.name)
            self._named.pop(process, None)
            if why:
                self._named[process] = why
        self._look_at_all(running, now)

    def hangs(self, seconds):
        """Names of the running processes that are named, or have given no sign for so many seconds."""
        now = time.monotonic()
        running = [process for process in self._processes if process.status() is None]
        return [process.name for process in running if process in self._named or self._stalled
                or (process.sign.at is not None and now - process.sign.at > seconds)]

    def _why(self, sign, now):
        """What is wrong with a process, in words; '' for nothing."""
        if sign.at is None:
            return ''
        if now - sign.at > self._patience:
            return ('has given no sign of life for %d s: it is stopped (SIGSTOP, a debugger), or its machine or the '
                    'network is away' % (now - sign.at))
        if sign.disk > self._patience and now - (sign.progress_at or 0) > self._patience:
            return 'has waited for a disk for %d s without a step of work' % sign.disk
        return ''

    def _look_at_all(self, running, now):
        """Say so where no process makes a step any more."""
        began = [process for process in running if process.sign.progress_at is not None]
        limit = self.STALL * self._patience
        stalled = bool(began) and all(now - process.sign.progress_at > limit for process in began)
        if stalled and not self._stalled:
            last = '; '.join('%s: %s' % (process.name, process.sign.what) for process in began)
            self._report('no process has made a step for %d s; the last were %s' % (limit, last))
        self._stalled = stalled
