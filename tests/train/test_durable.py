"""Files when the power goes, or a process is killed while it writes: nothing older goes before the newer is safe."""
import os
import shutil
import signal
import stat

import mxnet as mx
import numpy as np
import pytest

from dff import files
from dff.files import atomic_path, remove_leftovers, write_json
from lib.engine.checkpoint import find_checkpoint, load_arrays, positions, save_checkpoint
from lib.inference.clip_results import RunFolder
from lib.train.checkpointer import remove_old, remove_unfinished
from tests.helpers.power import Image

in_proc = pytest.mark.skipif(not os.path.exists('/proc/self/fd'),
                             reason='names of open files are read in /proc, which Linux has')


def write_checkpoints(prefix, numbers):
    """Checkpoints within the first epoch, as training writes and removes them; each after so many batches."""
    for number in numbers:
        save_checkpoint(prefix, 0, {'w': mx.nd.full((300, 100), number)}, {},
                        {'w': mx.nd.full((300, 100), -number)}, number, {}, number)
        remove_old(prefix)


@pytest.fixture
def calls(monkeypatch):
    """What happens to files, in order: ('fsync' or 'folder', path), ('replace', path), ('remove', path)."""
    found = []
    real = {name: getattr(os, name) for name in ('fsync', 'replace', 'remove')}

    def fsync(number):
        path = os.readlink('/proc/self/fd/%d' % number)
        found.append(('folder' if stat.S_ISDIR(os.fstat(number).st_mode) else 'fsync', path))
        real['fsync'](number)

    def replace(source, target):
        found.append(('replace', source, target))
        real['replace'](source, target)

    def remove(path):
        found.append(('remove', path))
        real['remove'](path)
    for function in (fsync, replace, remove):
        monkeypatch.setattr(os, function.__name__, function)
    return found


@in_proc
def test_a_checkpoint_is_on_the_disk_before_an_older_one_goes(tmp_path, calls):
    write_checkpoints(str(tmp_path / 'm'), (1, 2, 3))
    for kind in ('params', 'states', 'json'):
        new = str(tmp_path / ('m-0000-000003.' + kind))
        replaced = next(index for index, call in enumerate(calls) if call[0] == 'replace' and call[2] == new)
        assert calls[replaced - 1] == ('fsync', calls[replaced][1])
        assert calls[replaced + 1] == ('folder', str(tmp_path))
    removed = [index for index, call in enumerate(calls) if call[0] == 'remove']
    assert [os.path.basename(calls[index][1]) for index in removed] == [
        'm-0000-000001.' + kind for kind in ('json', 'states', 'params')]
    assert min(removed) > replaced + 1


@in_proc
def test_new_folders_are_on_the_disk_and_pictures_need_not_be(tmp_path, calls):
    write_json(str(tmp_path / 'a' / 'b' / 'x.json'), {})
    folders = [path for what, *path in calls if what == 'folder']
    assert folders == [[str(tmp_path)], [str(tmp_path / 'a')], [str(tmp_path / 'a' / 'b')]]
    del calls[:]
    with atomic_path(str(tmp_path / 'x.jpg'), durable=False) as temporary:
        open(temporary, 'w').close()
    assert [call[0] for call in calls] == ['replace']


def test_the_record_of_a_drawn_clip_comes_after_its_pictures(tmp_path, monkeypatch):
    class Clips(RunFolder):
        def _name(self, clip):
            return clip

        def _identity(self, clip):
            return clip
    results, found = Clips(str(tmp_path), {}, print), []
    monkeypatch.setattr(os, 'sync', lambda: found.append(results.record('one')))
    results.finish('one', drawn=True)
    results.finish('two', drawn=False)
    assert found == [None] and results.finished('one', drawn=True)


def test_a_folder_that_cannot_be_asked_is_no_error(tmp_path, monkeypatch):
    real = os.fsync

    def fsync(number):
        if stat.S_ISDIR(os.fstat(number).st_mode):
            raise OSError(22, 'Invalid argument')
        real(number)
    monkeypatch.setattr(os, 'fsync', fsync)
    write_json(str(tmp_path / 'x.json'), {'a': 1})
    assert files.read_json(str(tmp_path / 'x.json')) == {'a': 1}


def test_a_disk_that_fails_leaves_the_older_file(tmp_path, monkeypatch):
    path = str(tmp_path / 'x.json')
    write_json(path, {'a': 1})

    def fsync(_):
        raise OSError(5, 'Input/output error')
    monkeypatch.setattr(os, 'fsync', fsync)
    with pytest.raises(OSError, match='Input/output error'):
        write_json(path, {'a': 2})
    assert files.read_json(path) == {'a': 1} and os.listdir(str(tmp_path)) == ['x.json']


@pytest.mark.slow
def test_copies_of_a_disk_hold_the_newest_or_second_newest_checkpoint(tmp_path):
    image = Image(tmp_path)
    try:
        for number in range(2, 12):
            write_checkpoints(str(image.place / 'out' / 'm'), (number,))
            place = image.after_power_loss('copy%d' % number)
            found = find_checkpoint(str(place / 'out' / 'm'))
            assert found is not None and found.batch == number
            assert np.all(load_arrays(found.states_file)['w'].asnumpy() == -number)
    finally:
        image.remove()


def test_what_a_kill_left_half_written_goes_with_the_next_run(tmp_path):
    prefix = str(tmp_path / 'm')
    write_checkpoints(prefix, (1,))
    pid = os.fork()
    if not pid:
        with atomic_path(prefix + '-0000-000002.params') as temporary:
            shutil.copyfile(prefix + '-0000-000001.params', temporary)
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    left = [name for name in os.listdir(str(tmp_path)) if name.startswith('.')]
    assert len(left) == 1 and left[0].startswith('.m-0000-000002.') and left[0].endswith('.tmp.params')
    for name in ('.m-0003.4711.tmp.states', '.m-0001.int8.0123456789ab.tmp.json', '.other-0001.ab12.tmp.params',
                 '.m-0001.tmp.params'):
        (tmp_path / name).write_text('x')
    remove_unfinished(str(tmp_path), 'm')      # the second is of a pid, as earlier versions named them
    assert sorted(name for name in os.listdir(str(tmp_path)) if name.startswith('.')) == [
        '.m-0001.int8.0123456789ab.tmp.json', '.m-0001.tmp.params', '.other-0001.ab12.tmp.params']
    assert positions(prefix) == {(0, 1)}
    assert remove_leftovers(str(tmp_path / 'absent')) == []


def test_temporary_names_do_not_rest_on_the_process_alone(tmp_path):
    with atomic_path(str(tmp_path / 'x')) as one, atomic_path(str(tmp_path / 'x')) as two:
        assert one != two
        for path in (one, two):
            open(path, 'w').close()
