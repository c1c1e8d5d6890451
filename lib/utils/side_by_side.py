"""Scripts that make files out of each other's files, several at a time."""
import concurrent.futures
import os
import signal
import subprocess
import sys
import time
from collections import namedtuple

from lib.utils.paths import resolve
from dff.errors import DFFError

# name: in words; makes: path of the file that is there once `command`, a script of the repository
# and its arguments, has ended; needs: paths of files that other steps may make.
Step = namedtuple('Step', 'name makes command needs')


def run_steps(steps, lanes, cores):
    """Run the commands of `steps`, at most `lanes` at a time, the first that are ready first.

    A command that runs alone has the terminal and all processor cores. Beside others it has an
    equal share of `cores`, and its output comes line by line, behind the step's name. Returns
    {name: minutes}. Raises DFFError where a command fails; those beside it are then asked to end
    (SIGTERM), and waited for.
    """
    waiting, running, minutes = list(steps), {}, {}
    # Leaving `with` waits for the commands that run, so that after Ctrl-C, which they get as well, they end in order.
    with concurrent.futures.ThreadPoolExecutor(lanes) as pool:
        while waiting or running:
            unmade = {command.step.makes for command in running.values()}.union(step.makes for step in waiting)
            ready = [step for step in waiting if not unmade.intersection(step.needs)][:lanes - len(running)]
            side_by_side = len(running) + len(ready)
            for step in ready:
                waiting.remove(step)
                command = _Command(step, max(1, cores // side_by_side) if side_by_side > 1 else None)
                running[pool.submit(command.wait)] = command
            for done in concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED).done:
                command = running.pop(done)
                if done.result():
                    for other in running.values():
                        other.process.send_signal(signal.SIGTERM)
                    raise DFFError('%s ended with status %d; its message is above'
                                   % (command.step.name, done.result()))
                minutes[command.step.name] = command.minutes
    return minutes


def start(command, **settings):
    """Start a script of the repository, say so, and return its subprocess.Popen, which gets `settings`."""
    print('\n$ python ' + ' '.join(command), flush=True)
    return subprocess.Popen([sys.executable, resolve(command[0])] + list(command[1:]), **settings)


class _Command:
    """A step's command while it runs. threads: None where it runs alone."""

    def __init__(self, step, threads):
        self.step, self.minutes, self._began = step, None, time.time()
        shared = {} if threads is None else dict(
            env=dict(os.environ, OMP_NUM_THREADS=str(threads),
                     PYTHONUNBUFFERED='1'), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            universal_newlines=True, encoding='utf-8', errors='replace')
        self.process = start(step.command, **shared)

    def wait(self):
        """Pass the output on until the command ends; returns its exit status."""
        for line in self.process.stdout or ():
            if line.strip():
                sys.stdout.write('[%s] %s\n' % (self.step.name, line.rstrip()))
                sys.stdout.flush()
        status = self.process.wait()
        self.minutes = (time.time() - self._began) / 60
        return status
