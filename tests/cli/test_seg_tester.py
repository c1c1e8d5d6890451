"""Testing of segmentation: the two protocols, what is kept, what is written."""
import json
import os
import re
from collections import Counter

import cv2
import mxnet as mx
import numpy as np
import pytest

from dff.errors import CheckpointError, ConfigError, DataError
from dff.frames import prepare
from lib.config.config import update_from_file
from lib.config.defaults import segmentation_defaults
from lib.dataset.formats.seg_records import SegClip, SegRecord
from lib.inference import segmentation_testing, testing
from lib.inference.key_frames import input_format
from lib.inference.seg_protocol import count_runs, plan, segment_at_distances
from dff.results import Seconds, Segmented
from lib.symbols.registry import get_symbol_instance
from tests.helpers import tiny, tiny_seg
from tests.helpers.marks import slow
from tests.helpers.seg_tools import write


def clip(length, labelled):
    frames = ['%06d.png' % t for t in range(length)]
    return SegClip(frames, [SegRecord(frames[t], 'annot/%06d.png' % t, frames, t) for t in labelled])


def test_plan_of_a_clip_with_every_frame_labelled():
    steps = plan(clip(4, range(4)), [0, 1, 2])
    assert steps == [(0, [0, 1, 2]), (1, [1, 2, 3]), (2, [2, 3]), (3, [3])]
    assert count_runs(steps) == 9


def test_plan_of_sparse_labels():
    assert plan(clip(30, [19]), [0, 1, 2]) == [(17, [19]), (18, [19]), (19, [19])]
    assert plan(clip(30, [19]), [4]) == [(15, [19])]
    assert plan(clip(30, [1, 19]), [4]) == [(15, [19])]     # frame 1 has no key frame 4 before it
    assert count_runs(plan(clip(30, [19]), range(5))) == 9
    assert plan(clip(1, [0]), [1]) == []


class FakeSegmenter:
    """A frame's class map holds 1 in as many pixels of its first row as its key frame is far; else 0."""

    def __init__(self):
        self.form = input_format(tiny_seg.seg_config('dff_deeplab'))
        self.keys = Counter()

    def calibrate(self, images):
        """It has no numbers."""

    def prepare(self, image):
        return prepare(image, self.form)

    def from_key(self, frames):
        numbers = [int(frame.image[0, 0, 0]) for frame in frames]
        self.keys[numbers[0]] += 1
        for index, frame in enumerate(frames):
            labels = np.zeros(frame.image.shape[:2], np.uint8)
            labels[0, :numbers[index] - numbers[0]] = 1
            yield Segmented(index, frame.image, labels, index == 0, Seconds(9, 1, 0))


@pytest.fixture
def numbered(tmp_path):
    """A data set of one clip whose frame t has the value t, and labels that are 0 everywhere."""
    for t in range(6):
        write(tmp_path / 'set' / 'val' / 'clip' / ('%06d.png' % t), np.full((10, 10, 3), t, np.uint8))
        write(label_file(tmp_path, t), np.zeros((10, 10), np.uint8))
    (tmp_path / 'set' / 'classes.txt').write_text('zero\none\n')
    return tmp_path


def label_file(folder, t):
    return folder / 'set' / 'valannot' / 'clip' / ('%06d.png' % t)


def fake_config(folder, **changes):
    return tiny_seg.seg_config('dff_deeplab', dataset__dataset='SegFolder', dataset__dataset_path=str(folder / 'set'),
                               gpus='cpu', dataset__NUM_CLASSES=2, dataset__test_image_set='val',
                               output_path=str(folder / 'output'), **changes)


def run_fake(folder, monkeypatch, **options):
    monkeypatch.setattr(segmentation_testing, 'VideoSegmenter', lambda *args, **kwargs: FakeSegmenter())
    monkeypatch.setattr(segmentation_testing, 'load_params', lambda prefix, epoch: ({}, {}))
    (folder / 'tiny.params').write_bytes(b'parameters')
    monkeypatch.setattr(testing, 'parameter_file', lambda *args: (str(folder / 'tiny.params'), str(folder / 'tiny')))
    return testing.test_net(tiny.fresh_task('dff_deeplab'), fake_config(folder), 'fake.yaml', **options)


def test_each_key_frame_runs_once_and_serves_those_after_it(numbered):
    segmenter = FakeSegmenter()
    runs = list(segment_at_distances(segmenter, clip_of(numbered, range(6)), [0, 1, 2], lambda record: None))
    assert segmenter.keys == {t: 1 for t in range(6)}
    assert [(run.record.index, run.distance) for run in runs] == [(t + d, d) for t in range(6) for d in range(3)
                                                                  if t + d < 6]


def test_frames_that_no_label_needs_are_not_run(numbered):
    segmenter = FakeSegmenter()
    runs = list(segment_at_distances(segmenter, clip_of(numbered, [4]), [2], lambda record: 'label'))
    assert [(run.record and run.record.index, run.distance, run.label)
            for run in runs] == [(None, None, None), (4, 2, 'label')]
    assert segmenter.keys == {2: 1}


def clip_of(folder, labelled):
    frames = [str(folder / 'set' / 'val' / 'clip' / ('%06d.png' % t)) for t in range(6)]
    return SegClip(frames, [SegRecord(frames[t], '', frames, t) for t in labelled])


def test_frames_of_another_size_within_a_clip(numbered):
    write(numbered / 'set' / 'val' / 'clip' / '000002.png', np.zeros((10, 20, 3), np.uint8))
    cfg = tiny_seg.seg_config('dff_deeplab')
    real = segmentation_testing.VideoSegmenter(cfg, get_symbol_instance(cfg), *tiny_seg.seg_params(cfg), mx.cpu())
    with pytest.raises(DataError, match='000001.png and .*000002.png belong to one clip but differ in size'):
        list(segment_at_distances(real, clip_of(numbered, [1, 2]), [0, 1], lambda record: None))


def test_both_protocols_by_hand(numbered, monkeypatch, capsys):
    results = run_fake(numbered, monkeypatch, interval=3)
    # At distance d, d of a frame's 100 pixels are wrong: IoU 1 - d/100 for class 0,
    # 0 for class 1 where it is predicted.
    expected = [1.0, 0.99 / 2, 0.98 / 2]
    assert [row['mIoU'] for row in results['by_distance']] == pytest.approx(expected)
    assert [row['frames'] for row in results['by_distance']] == [6, 5, 4]
    assert results['mIoU'] == pytest.approx(sum(expected) / 3)
    assert results['IoU'] == {'zero': pytest.approx((1 + 0.99 + 0.98) / 3), 'one': 0}
    assert results['protocol'] == 'mean over the distances 0 to 2 from the key frame'
    assert results['fixed'] == {'protocol': 'fixed distance 2 from the key frame', 'mIoU': pytest.approx(0.49),
                                'IoU': {'zero': pytest.approx(0.98), 'one': 0}}
    # 1 ms of network a frame: the mean is of a video with key frames 3 apart, not of the 6 key and 9 other runs.
    assert (results['frames'], results['key_frames']) == (15, 6)
    printed = capsys.readouterr().out
    assert ('distance 1 from the key frame: mean IoU 0.4950, '
            '5 labelled frames (the others have fewer frames before them)') in printed
    assert 'Mean IoU = 0.6617 (mean over the distances 0 to 2 from the key frame)' in printed
    assert 'Mean IoU = 0.4900 (fixed distance 2 from the key frame)' in printed


def test_one_distance_alone(numbered, monkeypatch):
    results = run_fake(numbered, monkeypatch, interval=3, distance=1)
    assert results['protocol'] == 'fixed distance 1 from the key frame' and results['mIoU'] == pytest.approx(0.495)
    assert 'fixed' not in results and len(results['by_distance']) == 1
    assert results['parameters'].endswith('tiny.params') and results['interval'] == 3


def test_distances_that_cannot_be(numbered, monkeypatch):
    with pytest.raises(ConfigError,
                       match='--distance 3: with key frames every 3 frames, others are 0 to 2 frames after theirs'):
        run_fake(numbered, monkeypatch, interval=3, distance=3)
    with pytest.raises(DataError,
                       match="'val': no labelled frame has 9 frames before it .*at most 5.; test with --interval 6"):
        run_fake(numbered, monkeypatch, interval=10)


def test_labels_without_any_class(numbered, monkeypatch):
    for t in range(6):
        write(label_file(numbered, t), np.full((10, 10), 255, np.uint8))
    with pytest.raises(DataError, match="'val': no pixel of its labels has a class"):
        run_fake(numbered, monkeypatch)


@pytest.fixture
def experiment(tmp_path):
    tiny_seg.make_folder(tmp_path / 'set')
    return tiny_seg.write_experiment(tmp_path, 'dff_deeplab')


def run_test(path, task='dff_deeplab', gpus='cpu', **options):
    cfg = segmentation_defaults()
    update_from_file(cfg, str(path))
    cfg.gpus = gpus
    return testing.test_net(tiny.fresh_task(task), cfg, str(path), **options)


def records(folder):
    """{record of a clip: modification time} below an experiment's folder."""
    return {str(file): file.stat().st_mtime_ns for file in sorted(folder.glob('output/*/val/*/clips/**/*.json'))}


def test_the_command_writes_everything(experiment, tmp_path):
    status, printed, errors = tiny.run_script('experiments/dff_deeplab/dff_deeplab_test.py', '--cfg', experiment,
                                              '--vis', '--thresh', 0.5)
    assert status == 0, errors
    assert re.search(r'IoU for blob = [01]\.\d{4}', printed) and 'fixed distance 2' in printed
    assert 'other frames' in printed
    folder = tmp_path / 'output' / 'tiny_dff_deeplab' / 'val' / 'tiny-0001_interval3'
    results = json.loads((folder / 'results.json').read_text())
    assert set(results['ms']) == {'reading', 'key', 'current', 'post', 'frame'} and results['ms']['frame'] > 0
    assert 0 < results['mIoU'] < 1 and set(results['IoU']) == set(tiny_seg.CLASSES)
    pictures = sorted(str(file.relative_to(folder / 'vis')) for file in (folder / 'vis').glob('**/*.png'))
    assert len(pictures) == 2 * (5 + 4 + 3) and pictures[0] == 'distance_0/val/clip_0/000000.png'
    picture = cv2.imread(str(folder / 'vis' / pictures[0]), cv2.IMREAD_UNCHANGED)
    assert picture.shape[:2] == (64, 96) and (picture.ndim == 3 or picture.max() < 4)


def test_finished_clips_are_kept(experiment, tmp_path, capsys):
    first = run_test(experiment)
    before = records(tmp_path)
    capsys.readouterr()
    assert run_test(experiment) == first and records(tmp_path) == before and len(before) == 2
    assert '2 of 2 clips are finished and kept' in capsys.readouterr().out
    # A label that changed: its clip runs again, the other does not.
    label = tmp_path / 'set' / 'valannot' / 'clip_1' / '000003.png'
    write(label, np.zeros((64, 96), np.uint8))
    assert run_test(experiment)['mIoU'] != first['mIoU']
    after = records(tmp_path)
    assert [after[name] == before[name] for name in sorted(before)] == [True, False]
    run_test(experiment, ignore_cache=True)
    assert all(new > after[name] for name, new in records(tmp_path).items())


def test_changed_parameters_run_again(experiment, tmp_path, capsys):
    run_test(experiment)
    before = records(tmp_path)
    tiny_seg.save_params(tiny_seg.prefix(tmp_path, 'dff_deeplab'), seed=1)
    capsys.readouterr()
    run_test(experiment)
    assert 'results in ' in capsys.readouterr().out
    assert all(new > before[name] for name, new in records(tmp_path).items())


def test_devices_share_the_clips(experiment):
    one = run_test(experiment)
    two = run_test(experiment, gpus='cpu,cpu', ignore_cache=True)
    assert [row['mIoU'] for row in two['by_distance']] == pytest.approx([row['mIoU'] for row in one['by_distance']],
                                                                        abs=1e-3)


def test_interval_1_equals_the_baseline(experiment, tmp_path):
    every = run_test(experiment, interval=1)
    baseline = run_test(tiny_seg.write_experiment(tmp_path, 'deeplab'), 'deeplab', interval=5)
    assert every['protocol'] == baseline['protocol'] == 'every frame is a key frame'
    assert baseline['mIoU'] == pytest.approx(every['mIoU'], abs=1e-3)
    assert baseline['key_frames'] == baseline['frames'] == 10 and baseline['ms']['current'] is None
    # Distance 0 of DFF is the key network, too.
    assert run_test(experiment)['by_distance'][0]['mIoU'] == pytest.approx(every['mIoU'], abs=1e-6)


@pytest.mark.slow
def test_int8_is_calibrated(experiment, tmp_path):
    cfg = segmentation_defaults()
    update_from_file(cfg, str(experiment))
    cfg.TEST.PRECISION = 'int8'
    int8 = testing.test_net(tiny.fresh_task('dff_deeplab'), cfg, str(experiment))
    record = json.loads((tmp_path / 'output' / 'tiny_dff_deeplab' / 'train' / 'tiny-0001.int8.json').read_text())
    assert len(record['networks']) == 2      # for key and for current frames
    assert int8['mIoU'] == pytest.approx(run_test(experiment)['mIoU'], abs=0.1)
    folders = {file.parent.name for file in tmp_path.glob('output/*/val/*/results.json')}
    assert folders == {'tiny-0001_interval3', 'tiny-0001_interval3_int8'}


def test_missing_parameters(experiment, tmp_path):
    os.remove(tiny_seg.prefix(tmp_path, 'dff_deeplab') + '-0001.params')
    with pytest.raises(CheckpointError,
                       match='train first: python experiments/dff_deeplab/dff_deeplab_end2end_train_test.py --cfg'):
        run_test(experiment)
    with pytest.raises(CheckpointError, match='train first: python experiments/deeplab/deeplab_train_test.py --cfg'):
        path = tiny_seg.write_experiment(tmp_path, 'deeplab')
        os.remove(tiny_seg.prefix(tmp_path, 'deeplab') + '-0001.params')
        run_test(path, 'deeplab')


@pytest.mark.parametrize('arguments, message', [
    slow(['--distance', '-1'], "argument --distance: expected a whole number of 0 or more, found '-1'"),
    slow(['--interval', '2', '--distance', '2'], 'error: --distance 2: with key frames every 2 frames'),
    (['--set', 'TEST.KEY_FRAME_POLICY=flow'],
     'error: TEST.KEY_FRAME_POLICY must be fixed, found flow: segmentation is tested at given distances'),
])
def test_wrong_arguments(experiment, arguments, message):
    status, _, errors = tiny.run_script('dff_deeplab/test.py', '--cfg', experiment, *arguments)
    assert status == 2 and message in errors and 'Traceback' not in errors


def test_a_broken_label_is_named(experiment, tmp_path):
    label = tmp_path / 'set' / 'valannot' / 'clip_1' / '000003.png'
    write(label, np.zeros((60, 96), np.uint8))
    with pytest.raises(DataError, match='clip_1.000003.png'):
        run_test(experiment)
    assert records(tmp_path) == {}, 'it is named before the first frame'
