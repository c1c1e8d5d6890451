"""Work for processes of lib/jobs/pool.py that needs no MXNet."""
import logging
import os
import signal
import time
from pathlib import Path
from typing import NamedTuple

from dff.errors import ClassCountError, DataError


LATE = {'fail late': 0.5, 'fail later': 1.0}      # seconds: when all work, and when another has failed


class Setup(NamedTuple):
    """Jobs are (what, name); each leaves a file `name` in `folder`: process number, OMP_NUM_THREADS, steps."""

    folder: str

    def open(self):
        """Return the work."""
        return self._work

    def _work(self, job, tick):
        what, name = job
        for _ in range(3):
            tick()
        if what == 'say':
            logging.getLogger('dff.precision').warning('int8: measured')
        if what in LATE:
            time.sleep(LATE[what])
        if what == 'fail' or what in LATE:
            raise DataError('the frame of %s is missing' % name)
        if what == 'fail oddly':
            raise ClassCountError('4 classes expected', 4)
        if what == 'break':
            raise ValueError('a slip')
        if what == 'die':
            os.kill(os.getpid(), signal.SIGKILL)
        while what == 'wait':
            tick()
            time.sleep(0.01)
        (Path(self.folder) / name).write_text('%d %s' % (os.getpid(), os.environ['OMP_NUM_THREADS']))


def name_of(job):
    """The name of a job."""
    return job[1]
