"""Test commands with TEST.WORKERS: the files of one process, and what a stop or a lost worker leaves."""
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers import tiny, tiny_seg

pytestmark = pytest.mark.slow

TASKS = 'dff_rfcn', 'rfcn', 'fgfa_rfcn', 'dff_deeplab'
SCRIPTS = {task: 'experiments/%s/%s_test.py' % (task, task) for task in TASKS}


def test(task, path, output, workers, *settings, status=0, flags=()):
    """Run the test command into an output folder of its own; returns what it printed, errors behind it."""
    done, printed, errors = tiny.run_script(SCRIPTS[task], '--cfg', path, *flags, '--set', 'output_path=%s' % output,
                                            'TEST.WORKERS=%s' % workers, *settings)
    assert done == status, errors
    return printed + errors


test.__test__ = False


def files_of(output, path):
    """{path below the folder of results: content} of what a test has written; of JSON without times."""
    found = {}
    for file in Path(str(output)).rglob('*'):
        name = str(file.relative_to(str(output)))
        if file.is_file() and 'VID_train' not in name and '/train/' not in name and file.suffix != '.log':
            found[name] = file.read_bytes()
            if file.suffix == '.json':
                found[name] = without_times(json.loads(file.read_text()), str(output))
    return found


def without_times(value, output):
    if isinstance(value, dict):
        return {key: without_times(each, output) for key, each in value.items()
                if key not in ('ms', 'seconds', 'timed')}
    return value.replace(output, '') if isinstance(value, str) else value


def both_ways(folder, task, path, parameters, *settings, workers=2, flags=()):
    """Files of a test by one process and by `workers`, each in a folder of its own; and the last one's output."""
    outputs, printed = [folder / 'one', folder / 'several'], []
    for number, output in zip((1, workers), outputs):
        place = output / parameters.parent.relative_to(str(folder / 'output'))
        place.mkdir(parents=True)
        for file in parameters.parent.iterdir():
            (place / file.name).write_bytes(file.read_bytes())
        printed.append(test(task, path, output, number, *settings, flags=flags))
    return [files_of(output, path) for output in outputs] + [printed[-1]]


@pytest.mark.parametrize('task, settings, flags', [
    ('dff_rfcn', [], []),
    ('dff_rfcn', ['TEST.KEY_FRAME_POLICY=both', 'TEST.TRACK=true'], ['--vis']),
    ('dff_rfcn', ['TEST.KEY_FRAME_POLICY=middle', 'TEST.SEQ_NMS=true', 'TEST.SAVE_RAW=true'], []),
    ('fgfa_rfcn', [], [])], ids=['fixed', 'both', 'middle', 'window'])
def test_detections_are_those_of_one_process(tmp_path, task, settings, flags):
    path = tiny.write_experiment(tmp_path, task, clips=5, length=7)
    one, two, printed = both_ways(tmp_path, task, path, Path(tiny.prefix(tmp_path, task)), *settings, flags=flags)
    assert one == two
    names = {os.path.basename(name) for name in one}
    assert {'detections.txt', 'results.json', 'made_with.json'} <= names
    assert sum(name.startswith('0000') and name.endswith('.json') for name in names) == 5
    assert '2 workers, each on 1 of ' in printed
    assert re.search(r'35 frames in \d+\.\d s with the start of 2 workers, \d+\.\d frames/s', printed)


def test_int8_is_calibrated_once(tmp_path, monkeypatch):
    monkeypatch.setenv('OMP_NUM_THREADS', '1')      # which network is faster in int8 depends on it
    path = tiny.write_experiment(tmp_path, 'dff_rfcn', clips=4, length=7)
    prefix, int8 = Path(tiny.prefix(tmp_path, 'dff_rfcn')), 'TEST.PRECISION=int8'
    printed = test('dff_rfcn', path, tmp_path / 'output', 2, int8)
    assert printed.count('ranges of the network with inputs data, im_info measured') == 1
    record = Path(str(prefix) + '-0001.int8.json').read_bytes()
    one, two, again = both_ways(tmp_path, 'dff_rfcn', path, prefix, int8)
    assert one == two and 'measured' not in again
    copies = list(tmp_path.glob('*/*/VID_train_15frames/*.int8.json'))
    assert len(copies) == 3 and {file.read_bytes() for file in copies} == {record}
    # One process measures the same on the same frames.
    os.remove(str(prefix) + '-0001.int8.json')
    test('dff_rfcn', path, tmp_path / 'output', 1, int8, flags=['--ignore_cache'])
    assert ranges(Path(str(prefix) + '-0001.int8.json').read_bytes()) == ranges(record)


def ranges(record):
    """{network: {tensor: its range}}, without memory of pooling layers that nothing has written."""
    return {role: {name: ends for name, ends in found['ranges'].items() if not name.endswith('_workspace')}
            for role, found in json.loads(record.decode())['networks'].items()}


def test_class_maps_are_those_of_one_process(tmp_path):
    tiny_seg.make_folder(tmp_path / 'set', clips=4)
    path = tiny_seg.write_experiment(tmp_path, 'dff_deeplab')
    one, two, _ = both_ways(tmp_path, 'dff_deeplab', path, Path(tiny_seg.prefix(tmp_path, 'dff_deeplab')))
    assert one == two and any(name.endswith('results.json') for name in one)


def test_auto_says_what_it_goes_by(tmp_path, monkeypatch):
    monkeypatch.setenv('OMP_NUM_THREADS', '3')
    path = tiny.write_experiment(tmp_path, 'dff_rfcn', clips=2, length=7)
    printed = test('dff_rfcn', path, tmp_path / 'output', 'auto')
    assert re.search(r'TEST.WORKERS auto: 2, of 3 threads and 2 clips; one takes \d+ MB, and there are \d+ MB', printed)
    assert '2 workers, each on 1 of 3 threads' in printed
    kept = test('dff_rfcn', path, tmp_path / 'output', 'auto')
    assert '2 of 2 clips are finished and kept' in kept and 'auto:' not in kept


def test_what_a_plugin_brings_is_there_in_the_workers(tmp_path):
    path = tiny.write_experiment(tmp_path, 'rfcn', clips=2, length=3)
    plugin = tmp_path / 'own_set.py'
    plugin.write_text('from lib.dataset.registry import register\nfrom lib.dataset.sets.toy_vid import ToyVID\n\n\n'
                      "@register('OwnSet')\nclass OwnSet(ToyVID):\n    '''Own.'''\n")
    printed = test('rfcn', path, tmp_path / 'output', 2, 'plugins=[%s]' % plugin, 'dataset.dataset=OwnSet')
    assert 'all figures: ' in printed


def test_the_frame_that_a_worker_cannot_read_is_said_as_by_one_process(tmp_path):
    path = tiny.write_experiment(tmp_path, 'dff_rfcn', clips=3, length=4)
    frame = sorted((tmp_path / 'toy_vid' / 'Data').rglob('val/*/*.*'))[5]
    whole = frame.read_bytes()
    frame.write_bytes(whole[:len(whole) // 3])
    found = [test('dff_rfcn', path, tmp_path / 'output', number, 'TEST.DETECT_ONLY=true', status=2)
             for number in (1, 2)]
    lines = [re.findall('error: .*', text) for text in found]
    assert lines[0] == lines[1] and str(frame) in lines[0][0]


class Running:
    """A test by two workers under way, one clip of which is finished."""

    def __init__(self, folder, root):
        self.path = tiny.write_experiment(folder, 'dff_rfcn', clips=12, length=40)
        self.process = subprocess.Popen(
            [sys.executable, str(root / SCRIPTS['dff_rfcn']), '--cfg', str(self.path), '--set', 'TEST.WORKERS=2'],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
        self.clips = folder / 'output' / 'tiny_dff_rfcn' / 'VID_val_videos' / 'tiny-0001_interval3' / 'clips'
        deadline = time.time() + 120
        while time.time() < deadline and self.process.poll() is None and not list(self.clips.glob('*.json')):
            time.sleep(0.02)
        with open('/proc/%d/task/%d/children' % (self.process.pid, self.process.pid)) as stream:
            self.workers = [int(number) for number in stream.read().split()]

    def end(self):
        """Its errors; nothing of it is left, and nothing half written."""
        _, errors = self.process.communicate(timeout=60)
        assert not [number for number in self.workers if os.path.exists('/proc/%d' % number)]
        assert 'Traceback' not in errors and not [file for file in self.clips.iterdir() if '.tmp' in file.name]
        return errors

    def go_on(self):
        """The same command keeps what is finished."""
        finished = len(list(self.clips.glob('*.json')))
        status, printed, errors = tiny.run_script(SCRIPTS['dff_rfcn'], '--cfg', self.path, '--set', 'TEST.WORKERS=2')
        assert status == 0, errors
        assert '%d of 12 clips are finished and kept' % finished in printed and 0 < finished < 12


def test_ctrl_c_ends_all_workers(tmp_path, root):
    running = Running(tmp_path, root)
    assert len(running.workers) == 2
    for number in [running.process.pid] + running.workers:      # as a terminal does
        os.kill(number, signal.SIGINT)
    assert 'stopped by Ctrl-C' in running.end() and running.process.returncode == 130
    running.go_on()


def test_a_worker_that_is_killed_ends_the_test_with_a_line(tmp_path, root):
    running = Running(tmp_path, root)
    os.kill(running.workers[0], signal.SIGKILL)      # the other may still be starting
    _, errors = running.process.communicate(timeout=60)
    assert running.process.returncode == 2 and 'Traceback' not in errors
    assert re.search(r'error: worker 1 \(process %d\) was killed by signal 9 \(SIGKILL\) while it was at '
                     r'val/toy_val_\d+. The test ends here; the same command keeps the clips that are finished'
                     % running.workers[0], errors)
    running.go_on()
