"""One writer for each output folder, on whatever machine: a file in it that says who writes.

The file is locked by flock, which ends with its process, however that ends. Linux passes such locks
on to the server of NFS and of most cluster file systems, so that they hold between machines. Where
a file system keeps them to each machine, or has none, a second sign holds: the writer touches the
file every few seconds, and whoever finds the file of another machine watches it before he believes
the writer to be gone.
"""
import contextlib
import errno
import fcntl
import json
import os
import platform
import threading
import time
import uuid

from dff.errors import SetupError

NAME = '.writer.lock'
TOUCH_EVERY = 5.0     # seconds
WATCH = 30.0          # seconds without a touch, after which the writer of another machine counts as gone
NO_LOCKS = errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL


def job():
    """Return what the processes of one job of tools/launch.py have in common; '' for a process by itself."""
    return os.environ.get('DFF_JOB', '')


@contextlib.contextmanager
def one_writer(folder, report, prepare=lambda: None):
    """Hold `folder`, which is there, for this process while the body runs.

    Args:
        folder: of the output.
        report: called with a line where a writer has gone without giving the folder back.
        prepare: called when the folder is held, before other processes of the job may learn it.

    Raises SetupError with one line where another process has it.
    """
    path = os.path.join(folder, NAME)
    try:
        stream, locked = _open(path)
    except OSError as error:
        raise SetupError('cannot lock the output folder: %s: %s' % (path, error.strerror)) from error
    with stream:
        _take(stream, path, locked, report)
        prepare()
        _write(stream)
        ended = threading.Event()
        toucher = threading.Thread(target=_touch, args=(stream.fileno(), ended), daemon=True)
        toucher.start()
        try:
            yield
        finally:
            ended.set()
            toucher.join()
            with contextlib.suppress(OSError):
                os.remove(path)


def wait_for_first(folder, done):
    """Wait until the first worker of this job holds `folder`, or done() holds; without a job, not at all.

    So no worker writes into a folder that its job does not get: the first one fails, and with it the job.
    """
    while job() and not done():
        with contextlib.suppress(OSError), open(os.path.join(folder, NAME), encoding='utf-8') as stream:
            if _record(stream).get('job') == job():
                return
        time.sleep(0.2)


def _open(path):
    """(stream of the lock's file, whether it is locked); locked is None where the file system has no locks."""
    while True:
        stream = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), 'r+', encoding='utf-8')
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES) + NO_LOCKS:
                stream.close()
                raise
            return stream, None if error.errno in NO_LOCKS else False
        # The writer before removes the file when it ends: the lock must be of the one that is there.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(path), os.fstat(stream.fileno())):
                return stream, True
        stream.close()


def _take(stream, path, locked, report):
    """Raise SetupError unless the folder is free, or its writer has gone, which `report` is told."""
    before = _record(stream)
    if locked is False:
        raise _busy(path, before or _record_soon(stream))
    if not before:
        return
    if not (locked and before.get('machine') == _machine()) and _is_touched(path):
        raise _busy(path, before)
    report('%s has gone without giving back %s: this run takes the folder over'
           % (_describe(before), os.path.dirname(path)))


def _is_touched(path):
    """Whether somebody touches the file while it is watched."""
    def touched():
        # Opened anew, as network file systems then ask the server.
        with open(path, 'rb') as stream:
            return os.fstat(stream.fileno()).st_mtime_ns
    with contextlib.suppress(FileNotFoundError):      # then it was given back
        before, deadline = touched(), time.monotonic() + WATCH
        while time.monotonic() < deadline:
            time.sleep(min(1.0, WATCH / 10))
            if touched() != before:
                return True
    return False


def _touch(number, ended):
    while not ended.wait(TOUCH_EVERY):
        with contextlib.suppress(OSError):
            os.utime(number)


def _write(stream):
    """Say in the lock's file who has it."""
    record = {'host': platform.node(), 'machine': _machine(), 'pid': os.getpid(), 'job': job(),
              'start': time.strftime('%Y-%m-%d %H:%M:%S')}
    stream.seek(0)
    stream.truncate()
    json.dump(record, stream)
    stream.flush()


def _record(stream):
    """What the lock's file says; {} for nothing, or what is no record."""
    try:
        stream.seek(0)
        record = json.load(stream)
    except (OSError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _record_soon(stream):
    """The record of a writer that has only just begun."""
    deadline = time.monotonic() + 2
    while not _record(stream) and time.monotonic() < deadline:
        time.sleep(0.05)
    return _record(stream)


def _describe(record):
    """Who has the lock, in words; what stands in a damaged file is cut."""
    process, host, start = (str(record.get(key, '?'))[:64] for key in ('pid', 'host', 'start'))
    return 'process %s on %s, which began at %s,' % (process, host, start)


def _busy(path, record):
    return SetupError(
        '%s writes to %s: one folder has one writer. Wait for its end or stop it, or choose another '
        'folder with --set output_path=FOLDER' % (_describe(record), os.path.dirname(path)))


def _machine():
    """What tells this machine, since it was switched on, from others."""
    try:
        with open('/proc/sys/kernel/random/boot_id', encoding='ascii') as stream:
            return stream.read().strip()
    except OSError:
        return '%s %x' % (platform.node(), uuid.getnode())
