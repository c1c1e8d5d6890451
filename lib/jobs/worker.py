"""A process that lib/jobs/pool.py starts: does one job after the other, and says so. Run as a file, with the number
of its end of the connection.
"""
import contextlib
import logging
import os
import pickle
import queue
import sys
import threading
import time
import traceback
from multiprocessing.connection import Connection

GRACE = 8.0     # seconds to end a job in order, after which the process ends all the same


class _Stopped(Exception):
    """Raised inside a job under way to end it without a result."""


class _Talk(logging.Handler):
    """The connection to the pool: takes jobs from it, sends what happens, lines of the log included."""

    def __init__(self, connection):
        super().__init__(logging.INFO)
        self._connection, self._sending = connection, threading.Lock()
        self._stop, self.jobs = threading.Event(), queue.Queue()

    def send(self, kind, value=None):
        """Send (kind, value) to the pool; where that has gone, the job under way ends."""
        with self._sending:
            try:
                self._connection.send((kind, value))
            except OSError as error:
                raise _Stopped from error

    def emit(self, record):
        """See logging.Handler."""
        self.send('log', (record.name, record.levelno, record.getMessage()))

    def tick(self):
        """Say that a step of a job is done."""
        if self._stop.is_set():
            raise _Stopped
        self.send('step')

    def read(self):
        """Take jobs until the pool closes its end or is gone; what is under way then ends soon."""
        try:
            while True:
                self.jobs.put(self._connection.recv())
        except (EOFError, OSError):
            self._stop.set()
            self.jobs.put(None)
        time.sleep(GRACE)
        os._exit(1)


def main(number):
    """Serve the pool at the other end of the connection with this file number."""
    connection = Connection(number)
    sys.path[:] = connection.recv()
    talk = _Talk(connection)
    try:
        function, arguments = pickle.loads(connection.recv_bytes())
        function(*arguments)
        setup = pickle.loads(connection.recv_bytes())
        log = logging.getLogger('dff')
        log.setLevel(logging.INFO)
        log.propagate = False
        log.addHandler(talk)
        threading.Thread(target=talk.read, daemon=True).start()
        work = setup.open()
        while True:
            talk.send('idle')
            job = talk.jobs.get()
            if job is None:
                return
            work(job, talk.tick)
    except (_Stopped, EOFError):
        return
    except Exception as error:      # whatever it is: the pool raises it
        with contextlib.suppress(_Stopped):      # another worker's error came first, and the pool has gone
            talk.send('error', _portable(error))


def _portable(error):
    """`error`, where it means the same in another process; else what holds its traceback."""
    from dff.errors import DFFError
    text = traceback.format_exc()
    try:
        if isinstance(error, DFFError):
            return pickle.loads(pickle.dumps(error))
    except Exception:      # of a class that does not come back: its text does
        return DFFError(str(error))
    return RuntimeError('in a worker:\n' + text)


if __name__ == '__main__':
    main(int(sys.argv[1]))
