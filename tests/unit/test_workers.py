"""Tests in several processes (TEST.WORKERS): the settings, and the processes, at work that needs no MXNet."""
import os
import signal
import subprocess
import sys
import time

import mxnet as mx
import pytest

from dff.errors import ClassCountError, ConfigError, DataError, DFFError
from lib.config.config import update_from_settings
from lib.config.defaults import detection_defaults, flow_defaults
from lib.inference import clip_runner
from lib.inference.clip_runner import check_workers
from lib.jobs.pool import Pool
from lib.utils import memory
from tests.helpers.pool_jobs import Setup, name_of

NOTHING = (int, ())


def pool(threads=1):
    return Pool(NOTHING, threads, name_of, 'Do something.')


def run(folder, jobs, workers=2, **options):
    steps = []
    with pool(threads=3) as processes:
        processes.run(jobs, [Setup(str(folder))] * workers, lambda: steps.append(1), **options)
    return len(steps)


@pytest.mark.parametrize('value, text', [
    ('0', '--set: TEST.WORKERS must be at least 1 and at most 1024 (or auto), found 0'),
    ('-2', '--set: TEST.WORKERS must be at least 1 and at most 1024 (or auto), found -2'),
    ('many', "--set TEST.WORKERS=many: 'TEST.WORKERS' must be a whole number or auto, found 'many'"),
    ('1.5', "--set TEST.WORKERS=1.5: 'TEST.WORKERS' must be a whole number or auto, found 1.5"),
    ('true', "--set TEST.WORKERS=true: 'TEST.WORKERS' must be a whole number or auto, found True")])
def test_numbers_that_cannot_be(value, text):
    with pytest.raises(ConfigError) as error:
        update_from_settings(detection_defaults(), ['TEST.WORKERS=' + value])
    assert str(error.value) == text


def test_numbers_that_can():
    config = detection_defaults()
    assert config.TEST.WORKERS == 1
    for value in ('auto', 7, 1):
        update_from_settings(config, ['TEST.WORKERS=%s' % value])
        assert config.TEST.WORKERS == value
    with pytest.raises(ConfigError, match="there is no setting 'TEST.WORKERS'"):      # the flow network has no clips
        update_from_settings(flow_defaults(), ['TEST.WORKERS=2'])


def test_workers_and_a_list_of_devices():
    devices = [mx.gpu(number) for number in range(4)]
    with pytest.raises(ConfigError) as error:
        check_workers(2, devices)
    assert str(error.value) == ('TEST.WORKERS is 2, and gpus names 4 devices, of which each worker has one: set it to '
                                '4 or more, or to 1, with which one process serves them all')
    for workers in (1, 4, 9, 'auto'):
        check_workers(workers, devices)


@pytest.mark.parametrize('text, cores', [('6', 6), ('4,2', 4), ('', 9), ('0', 9), ('many', 9)])
def test_threads_that_are_shared_out(monkeypatch, text, cores):
    monkeypatch.setattr(clip_runner, 'physical_cores', lambda: 9)
    monkeypatch.setenv('OMP_NUM_THREADS', text)
    assert clip_runner._cores() == cores


def test_each_job_is_done_once_with_the_share_of_the_cores(tmp_path):
    jobs = [('do', 'clip %d' % number) for number in range(9)]
    assert run(tmp_path, jobs) == 27
    assert sorted(os.listdir(str(tmp_path))) == [name for _, name in jobs]
    found = [path.read_text().split() for path in tmp_path.iterdir()]
    assert {threads for _, threads in found} == {'3'} and str(os.getpid()) not in {number for number, _ in found}


def test_more_workers_than_jobs(tmp_path):
    assert run(tmp_path, [('do', 'clip')], workers=3) == 3


def test_the_first_has_the_first_job_before_others_start(tmp_path):
    jobs = [('do', 'clip 0'), ('do', 'clip 1'), ('do', 'clip 2')]
    assert run(tmp_path, jobs, first_alone=True) == 9
    assert sorted(os.listdir(str(tmp_path))) == ['clip 0', 'clip 1', 'clip 2']


@pytest.mark.parametrize('what, kind, text', [
    ('fail', DataError, 'the frame of clip 2 is missing'),
    ('fail oddly', DFFError, '4 classes expected'),      # an error that pickle cannot bring back
    ('break', RuntimeError, 'ValueError: a slip')])
def test_an_error_of_a_worker_is_raised_here(tmp_path, what, kind, text):
    with pytest.raises(kind) as error:
        run(tmp_path, [('wait', 'clip 1'), (what, 'clip 2')])
    assert text in str(error.value) and not list(tmp_path.iterdir())
    assert not isinstance(error.value, ClassCountError)


def test_the_second_error_is_not_shown(tmp_path, capfd):
    with pytest.raises(DataError, match='the frame of clip 1 is missing'):
        run(tmp_path, [('fail late', 'clip 1'), ('fail later', 'clip 2')])
    assert 'Traceback' not in capfd.readouterr().err


def test_a_worker_that_is_killed_is_named_with_its_clip(tmp_path):
    with pytest.raises(DFFError) as error:
        run(tmp_path, [('die', 'clip 1'), ('wait', 'clip 2')], first_alone=True)
    words = str(error.value).split('(process ')
    assert words[0] == 'worker 1 '
    assert words[1].endswith(') was killed by signal 9 (SIGKILL) while it was at clip 1. Do something.')


def test_a_job_is_tried_out_and_left(tmp_path):
    with pool() as processes:
        number = processes.try_out(('wait', 'clip'), Setup(str(tmp_path)), 5)
        assert 2 ** 20 < memory.peak_memory(number) < 2 ** 30
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)
    assert not list(tmp_path.iterdir())
    with pool() as processes:      # it has fewer steps
        processes.try_out(('do', 'clip'), Setup(str(tmp_path)), 50)
        assert (tmp_path / 'clip').exists()


def test_workers_end_with_their_parent(tmp_path, root):
    code = ('import sys; sys.path.insert(0, %r)\nfrom lib.jobs.pool import Pool\n'
            'from tests.helpers.pool_jobs import Setup, name_of\npool = Pool((int, ()), 1, name_of, "")\n'
            'print(pool.try_out(("wait", "clip"), Setup(%r), 2), flush=True)\ninput()' % (str(root), str(tmp_path)))
    parent = subprocess.Popen([sys.executable, '-c', code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    number = int(parent.stdout.readline())
    os.kill(number, 0)      # it is there
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    deadline = time.monotonic() + 5
    while os.path.exists('/proc/%d' % number) and not _is_zombie(number) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not os.path.exists('/proc/%d' % number) or _is_zombie(number)


def _is_zombie(number):
    try:
        with open('/proc/%d/stat' % number) as stream:
            return stream.read().rpartition(')')[2].split()[0] == 'Z'
    except OSError:
        return False


def test_memory_within_the_limit_of_a_control_group(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, 'cgroup_folders', lambda controller: [])
    whole = memory.available_memory()
    assert whole > 2 ** 20
    for names, dropped in ((('memory.max', 'memory.current'), 'inactive_file'),
                           (('memory.limit_in_bytes', 'memory.usage_in_bytes'), 'total_inactive_file')):
        folder = tmp_path / names[0]
        folder.mkdir()
        monkeypatch.setattr(memory, 'cgroup_folders', lambda controller, folder=folder: [str(folder)])
        (folder / names[0]).write_text('1000000\n')
        (folder / names[1]).write_text('700000\n')
        assert memory.available_memory() == 300000
        (folder / 'memory.stat').write_text('anon 5\n%s 50000\n' % dropped)
        assert memory.available_memory() == 350000
        (folder / names[0]).write_text('max\n')
        assert memory.available_memory() == pytest.approx(whole, rel=0.5)


def test_lines_of_the_log_come_once(tmp_path, caplog):
    assert run(tmp_path, [('say', 'clip %d' % number) for number in range(4)]) == 12
    assert caplog.messages == ['int8: measured']
