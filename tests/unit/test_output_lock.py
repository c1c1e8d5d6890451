"""One writer for each output folder: who has it is named, who has gone is noticed, on this machine and on others."""
import errno
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from dff.errors import SetupError
from lib.jobs import output_lock
from lib.jobs.output_lock import NAME, one_writer, wait_for_first

pytestmark = pytest.mark.slow

HOLD = ('import sys; sys.path.insert(0, sys.argv[1])\nfrom lib.jobs.output_lock import one_writer\n'
        'with one_writer(sys.argv[2], print):\n    print("held", flush=True); sys.stdin.read()')


@pytest.fixture
def holder(root, tmp_path):
    """A process that holds tmp_path."""
    process = subprocess.Popen([sys.executable, '-c', HOLD, str(root), str(tmp_path)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, universal_newlines=True)
    assert process.stdout.readline() == 'held\n'
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def patient(monkeypatch):
    """A writer of another machine counts as gone after a second."""
    monkeypatch.setattr(output_lock, 'WATCH', 1.0)


def write_record(folder, **values):
    record = dict({'host': 'far', 'machine': 'other', 'pid': 1, 'start': '2026-01-02 03:04:05', 'job': ''}, **values)
    (folder / NAME).write_text(json.dumps(record))


def test_the_second_is_told_who_writes(tmp_path, holder):
    with pytest.raises(SetupError) as error, one_writer(str(tmp_path), print):
        pass
    assert re.fullmatch(r'process %d on \S+, which began at [-\d]+ [:\d]+, writes to %s: one folder has one writer. '
                        r'Wait for its end or stop it, or choose another folder with --set output_path=FOLDER'
                        % (holder.pid, re.escape(str(tmp_path))), str(error.value))
    holder.communicate('')
    lines = []
    with one_writer(str(tmp_path), lines.append):
        assert json.loads((tmp_path / NAME).read_text())['pid'] == os.getpid()
    assert lines == [] and os.listdir(str(tmp_path)) == []


def test_the_folder_of_a_killed_process_is_taken_over_with_a_line(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    lines = []
    with one_writer(str(tmp_path), lines.append):
        pass
    assert len(lines) == 1 and re.search('^process %d on .* has gone without giving back %s: this run takes '
                                         'the folder over$' % (holder.pid, re.escape(str(tmp_path))), lines[0])


def test_a_writer_of_another_machine_that_is_at_work_keeps_the_folder(tmp_path, patient):
    """Where each machine knows its own locks alone."""
    write_record(tmp_path)
    ended = threading.Event()

    def touch():
        while not ended.wait(0.2):
            os.utime(str(tmp_path / NAME))
    thread = threading.Thread(target=touch)
    thread.start()
    try:
        with pytest.raises(SetupError, match='process 1 on far, which began at 2026-01-02 03:04:05, writes to'), \
                one_writer(str(tmp_path), print):
            pass
    finally:
        ended.set()
        thread.join()
    lines = []
    with one_writer(str(tmp_path), lines.append):
        pass
    assert len(lines) == 1 and lines[0].startswith('process 1 on far, ')


def test_without_locks_the_touches_decide(tmp_path, patient, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOLCK, 'No locks available')
    monkeypatch.setattr(fcntl, 'flock', flock)
    monkeypatch.setattr(output_lock, 'TOUCH_EVERY', 0.1)
    with one_writer(str(tmp_path), print):
        with pytest.raises(SetupError, match='process %d on ' % os.getpid()), one_writer(str(tmp_path), print):
            pass
    write_record(tmp_path)
    lines = []
    with one_writer(str(tmp_path), lines.append):
        pass
    assert len(lines) == 1


@pytest.mark.parametrize('content', [b'', b'[]', b'{', b'{"pid": {}}', b'[' * 100000, b'\xff'])
def test_a_damaged_lock_is_taken(tmp_path, patient, content):
    (tmp_path / NAME).write_bytes(content)
    with one_writer(str(tmp_path), print):
        assert json.loads((tmp_path / NAME).read_text())['pid'] == os.getpid()


def test_a_lock_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / NAME).mkdir()
    with pytest.raises(SetupError, match='cannot lock the output folder: .*%s: Is a directory' % re.escape(NAME)), \
            one_writer(str(tmp_path), print):
        pass


def test_other_workers_wait_for_the_first_of_their_job(tmp_path, monkeypatch):
    wait_for_first(str(tmp_path), lambda: False)           # no job
    monkeypatch.setenv('DFF_JOB', 'mine')
    write_record(tmp_path, job='another')
    waiting = threading.Thread(target=wait_for_first, args=(str(tmp_path), lambda: False), daemon=True)
    waiting.start()
    time.sleep(0.5)
    assert waiting.is_alive()
    os.remove(str(tmp_path / NAME))
    prepared = []
    with one_writer(str(tmp_path), print, lambda: prepared.append(waiting.is_alive())):
        waiting.join(5)
        assert not waiting.is_alive() and prepared == [True]
    wait_for_first(str(tmp_path), lambda: True)            # all is done already


def test_of_many_that_ask_at_once_one_gets_the_folder(tmp_path, root):
    processes = [subprocess.Popen([sys.executable, '-c', HOLD, str(root), str(tmp_path)], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
                 for _ in range(4)]
    deadline = time.monotonic() + 60
    while sum(process.poll() is None for process in processes) > 1 and time.monotonic() < deadline:
        time.sleep(0.1)
    outcomes = [process.communicate('') for process in processes]
    assert sorted(out for out, _ in outcomes) == ['', '', '', 'held\n']
    assert sum('one folder has one writer' in err for _, err in outcomes) == 3
