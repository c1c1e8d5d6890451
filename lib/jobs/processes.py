"""The processes that tools/launch.py starts, here and elsewhere, and their end."""
import contextlib
import os
import shlex
import signal
import subprocess
import sys
import threading
import time

# Seconds that what is left of a job has after each step towards its end.
ASKED, ENDED, KILLED = 4.0, 3.0, 2.0
# What a remote process must know, beside MXNet's own variables.
PASSED = ('OMP_NUM_THREADS', 'PYTHONPATH', 'PATH', 'LD_LIBRARY_PATH', 'DMLC_INTERFACE')
# A command on another machine: a line of input asks it to stop, the end of the input (of the connection) ends it.
REMOTE = (
    'cd %s && exec 3<&0 && { env %s %s 3<&- & child=$!; { while read -r line <&3; do kill -TERM '
    '$child; done; kill -KILL $child; } & '
    'wait $child; status=$?; kill $!; exit $status; }')
# Reads numbers of process groups, and kills them when its input ends: when the launcher has gone.
GUARD = ('groups=; while read -r group; do groups="$groups $group"; done; '
         'for group in $groups; do kill -KILL "-$group"; done')


class Process:
    """One process of the job, which prints its output with its name before each line.

    Args:
        name: for messages.
        command: list of words.
        variables: for its environment.
        rsh: what runs a command elsewhere, called with host and a line for its shell.
        sign: the Sign of its life.
        host: where it runs; None: here.
        folder: to run it in.
    """

    def __init__(self, name, command, variables, rsh, sign, host=None, folder='.'):
        self.name = name if host is None else '%s on %s' % (name, host)
        self.sign, self._remote = sign, host is not None
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
            # Where nobody reads it any more the job goes on: it would wait for ever to write it.
            with contextlib.suppress(OSError, ValueError):
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
        """Wait until its last lines are copied; not where it still runs."""
        if self.status() is not None:
            self._reader.join(2)


class Guard:
    """A process that ends all others of the job when the launcher has gone without doing so, as after kill -9."""

    def __init__(self):
        self._process = subprocess.Popen(['sh', '-c', GUARD], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                         stderr=subprocess.DEVNULL, start_new_session=True)

    def add(self, process):
        """Guard a Process."""
        with contextlib.suppress(OSError):      # the guard has been killed: the job goes on without
            self._process.stdin.write(b'%d\n' % process.process.pid)
            self._process.stdin.flush()

    def dismiss(self):
        """End the guard itself, when nothing is left to end."""
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(OSError):
            self._process.stdin.close()


def describe(status):
    """Return an exit status in words; a shell between adds 128 to the number of a signal."""
    number = -status if status < 0 else status - 128
    if number in set(signal.Signals):
        return 'was killed by signal %d (%s)' % (number, signal.Signals(number).name)
    return 'ended with status %d' % status


def end(processes):
    """Leave none of the processes behind."""
    for step, seconds in ((Process.ask, ASKED), (Process.end, ENDED), (Process.kill, KILLED)):
        for process in processes:
            step(process)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and any(process.status() is None for process in processes):
            time.sleep(0.05)
