"""benchmarks/full_size_rehearsal.py and its stand-in data at a small scale; the counts of the full size."""
import os

import pytest

from benchmarks import full_size_rehearsal, stand_in_vid
from benchmarks.stand_in_vid import StandIn, Stock, write_detections
from dff.errors import SetupError
from lib.config.config import update_from_file, update_from_settings
from lib.config.defaults import detection_defaults
from lib.dataset.check.check import check
from lib.dataset.formats.classes import load_classes
from lib.dataset.registry import get_dataset
from lib.dataset.roidb import load_roidb
from tests.helpers import tiny


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """(folder of stand-in data, its counts)"""
    folder = tmp_path_factory.mktemp('stand_in') / 'ILSVRC2015'
    return folder, StandIn(str(folder), load_classes().ids, 0.002).write()


def settings_of(folder):
    """The original's settings, with that folder."""
    cfg = detection_defaults()
    update_from_file(cfg, full_size_rehearsal.resolve(full_size_rehearsal.CFG))
    update_from_settings(cfg, ['dataset.dataset_path=%s' % folder, 'dataset.root_path=%s' % folder.parent])
    return cfg


def test_counts_of_the_full_size():
    lengths = stand_in_vid.training_lengths(1)
    assert (len(lengths), sum(lengths)) == (3862, 1122397)
    listed = [stand_in_vid.labelled_frames(length) for length in lengths]
    assert sum(map(len, listed)) == 57834 and stand_in_vid.STILLS + 57834 == 111473
    assert all(0 <= frames[0] and frames[-1] < length for frames, length in zip(listed, lengths))
    assert stand_in_vid.labelled_frames(300)[:3] == [10, 30, 50], 'as the list of the original'
    val = stand_in_vid.lengths(stand_in_vid.VAL_CLIPS, stand_in_vid.VAL_FRAMES)
    assert (len(val), sum(val)) == (555, 176126)


def test_the_checker_finds_nothing_but_what_comes_of_the_scale(made):
    report = check(settings_of(made[0]), workers=1)
    # One validation clip has boxes of one class in one part of the picture.
    assert set(report.problems.kept) == {'boxes in a corner', 'class without test boxes', 'frame without boxes'}
    assert [len(one.entries) for one in report.sets] == [107, 120, 352]


def test_training_leaves_out_what_was_made_empty(made):
    folder, counts = made
    records = load_roidb(settings_of(folder))
    assert counts['empty'] == 3 and counts['stills'] + counts['labelled'] == 227
    assert len(records) == 2 * (227 - 3)


def test_the_detections_near_the_objects_are_right(made, tmp_path):
    folder, _ = made
    path = str(tmp_path / 'detections.txt')
    write_detections(str(folder), path, 5, 30)
    with open(path) as stream:
        assert sum(1 for _ in stream) == 5 * 352
    result = get_dataset(settings_of(folder), 'VID_val_videos', 'detection').evaluate(path)
    assert result.ap['airplane'] == pytest.approx(1) and result.speeds['medium'].ground_truths > 300


def test_a_file_with_too_many_names_is_copied(tmp_path, monkeypatch):
    stock = Stock(str(tmp_path / 'stock'))
    stock.add('a', b'content')
    link, calls = os.link, []

    def full_once(source, target):
        calls.append(source)
        if len(calls) == 2:
            raise OSError(stand_in_vid.errno.EMLINK, 'Too many links')
        link(source, target)
    monkeypatch.setattr(os, 'link', full_once)
    for name in 'xyz':
        stock.link('a', str(tmp_path / name))
    assert (tmp_path / 'y').read_bytes() == b'content'
    assert os.stat(tmp_path / 'y').st_ino == os.stat(tmp_path / 'z').st_ino != os.stat(tmp_path / 'x').st_ino


def test_data_of_a_run_that_was_stopped_is_made_anew(tmp_path, monkeypatch):
    def stop(self):
        raise KeyboardInterrupt
    with monkeypatch.context() as patch:
        patch.setattr(StandIn, '_validation', stop)
        with pytest.raises(KeyboardInterrupt):
            full_size_rehearsal.make_data(str(tmp_path), 0.0001)
    assert os.listdir(str(tmp_path)) == ['ILSVRC2015.part']
    made = full_size_rehearsal.make_data(str(tmp_path), 0.0001)
    assert os.listdir(str(tmp_path)) == ['ILSVRC2015']
    assert {'VID_val_videos.txt', 'VID_train_15frames.txt'} < set(os.listdir(os.path.join(made, 'ImageSets')))


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / 'file').write_text('')
    folder = str(tmp_path / 'file' / 'scale_1')
    said = '^cannot write the data into %s: (Not a directory|File exists). Give another --folder$' % folder
    with pytest.raises(SetupError, match=said):
        full_size_rehearsal.rehearse(folder, 1, 1)


@pytest.mark.slow
def test_every_step_is_measured():
    status, out, err = tiny.run_script('benchmarks/full_size_rehearsal.py', '--scale', '0.002', '--per_frame', '3')
    assert status == 0, err
    rows = [line.split('|')[1:5] for line in out.splitlines() if line.startswith('| ')]
    assert [row[0].strip().partition(':')[0] for row in rows[1:]] == [
        'check of the data', 'start of training, annotations read', 'start of training, annotations cached',
        'evaluation of 3 detections a frame']
    assert all(float(seconds) > 0 and float(processor) > 0 and float(memory) > 50
               for _, seconds, processor, memory in rows[1:])
    assert 'epoch 1 batch 3/448' in out
