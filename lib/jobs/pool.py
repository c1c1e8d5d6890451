"""Jobs spread over processes of this machine, each with its share of the cores.

Fresh processes, not forks: MXNet's threads do not survive a fork. Each is bound to this one by a connection, whose end
ends it, so that none is left behind however this process ends. A job goes to the first that is idle.
"""
import collections
import contextlib
import logging
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from multiprocessing.connection import wait

from dff.errors import DFFError
from lib.jobs.processes import describe
from lib.jobs.worker import GRACE

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'worker.py')


class Pool:
    """Processes that do jobs; a context manager, whose end ends them.

    Args:
        prelude: (function, arguments), called in each process before `setup` is unpickled there.
        threads: OMP_NUM_THREADS of each process.
        name_of: (job) -> its name, for messages.
        advice: for the message about a process that has gone.
    """

    def __init__(self, prelude, threads, name_of, advice):
        self._prelude, self._threads, self._name_of, self._advice = prelude, threads, name_of, advice
        self._workers, self._said = [], set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            for worker in self._workers:
                worker.connection.close()
            deadline = time.monotonic() + GRACE + 2
            for worker in self._workers:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    worker.process.wait(max(0, deadline - time.monotonic()))
        finally:
            for worker in self._workers:
                worker.process.kill()
                worker.process.wait()

    def run(self, jobs, setups, step, first_alone=False):
        """Do all `jobs`, in a process for each of `setups`.

        Args:
            jobs: list of picklable objects; the first process gets the first.
            setups: list of picklable objects with open() -> work(job, tick), which calls tick() after each
                step.
            step: called after each step of any process.
            first_alone: the others start when the first has made a step.

        Raises the first error of any process; DFFError where one is gone, naming it and its job.
        """
        waiting, setups = collections.deque(jobs), collections.deque(setups)
        self._start(setups.popleft())
        while not first_alone and setups:
            self._start(setups.popleft())
        while any(worker.works for worker in self._workers):
            for worker, kind in self._messages():
                if kind == 'step':
                    step()
                    while setups and waiting:
                        self._start(setups.popleft())
                elif kind == 'idle':
                    worker.give(waiting.popleft() if waiting else None)

    def try_out(self, job, setup, steps):
        """Do the first `steps` steps of `job`, and return the number of the process, which goes on with it.

        setup: as of `run`; a job that has fewer steps is done.
        """
        self._start(setup)
        given = False
        while True:
            for worker, kind in self._messages():
                steps -= kind == 'step'
                if steps <= 0 or (kind == 'idle' and given):
                    return worker.process.pid
                if kind == 'idle':
                    worker.give(job)
                    given = True

    def _start(self, setup):
        self._workers.append(_Worker(len(self._workers) + 1, self._prelude, setup, self._threads))

    def _messages(self):
        """Wait; yield (worker, kind) of what came. Errors are raised, lines of the log passed on, each once."""
        ends = {worker.connection: worker for worker in self._workers if worker.works}
        for end in wait(list(ends)):
            worker = ends[end]
            try:
                kind, value = end.recv()
            except (EOFError, OSError) as error:
                raise DFFError(self._lost(worker)) from error
            if kind == 'error':
                raise value
            if kind == 'log' and value not in self._said:
                self._said.add(value)
                name, level, text = value
                logging.getLogger(name).log(level, '%s', text)
            yield worker, kind

    def _lost(self, worker):
        at = 'before its first clip' if worker.job is None else 'while it was at %s' % self._name_of(worker.job)
        try:
            status = describe(worker.process.wait(2))
        except subprocess.TimeoutExpired:
            status = 'closed its connection'
        return '%s (process %d) %s %s. %s' % (worker.name, worker.process.pid, status, at, self._advice)


class _Worker:
    """One process, number `number` from 1. works: it has jobs, or is about to; job: that under way."""

    def __init__(self, number, prelude, setup, threads):
        self.name, self.works, self.job = 'worker %d' % number, True, None
        self.connection, other = multiprocessing.Pipe()
        with other, _without_ctrl_c():
            self.process = subprocess.Popen(
                [sys.executable, SCRIPT, str(other.fileno())], pass_fds=[other.fileno()], stdin=subprocess.DEVNULL,
                env=dict(os.environ, OMP_NUM_THREADS=str(threads)))
        # One that has gone already is found by the end of its connection.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send(sys.path)
            for part in (prelude, setup):
                self.connection.send_bytes(pickle.dumps(part))

    def give(self, job):
        """Have the process do a job; None: it ends."""
        self.job, self.works = job, job is not None
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send(job)


@contextlib.contextmanager
def _without_ctrl_c():
    """Block SIGINT, so that processes started here never see it: a terminal sends it to all, and this one ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
