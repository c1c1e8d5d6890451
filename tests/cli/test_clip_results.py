"""Results of clips: what a failure leaves, how frames are numbered and written."""
import os
from collections import Counter

import mxnet as mx
import numpy as np
import pytest

from dff.errors import DataError
from dff.timing import Timing
from dff.writers import open_writer
from lib.dataset.formats.records import Clip
from lib.inference.clip_results import ClipResults, format_detections
from lib.inference.clip_runner import run_on_devices
from lib.inference.detection_testing import detect_clip
from dff.results import Detected, Seconds
from tests.helpers import tiny


class FakeDetector:
    """One detection a frame, after the frame was read."""

    def __init__(self, device=None, fail_at=None):
        self.fail_at = fail_at

    def detect(self, images):
        for index, image in enumerate(images):
            if index == self.fail_at:
                raise DataError('frame %d is broken' % index)
            yield Detected(index, image, np.array([[1, 0.5, 1, 2, 3, 4]], np.float32), index == 0,
                           Seconds(0.001, 0.002, 0.003))


def run_clips(clips, devices, make_detector, results):
    def make_work(device):
        detector, seen = make_detector(device), Counter()
        return lambda clip, tick: detect_clip(detector, clip, results, Timing(seen), tick)
    run_on_devices(clips, devices, make_work)


@pytest.fixture
def clips(tmp_path):
    folder = tmp_path / 'frames'
    with open_writer(folder) as write:
        for t in range(4):
            write(tiny.frame(t), '%06d' % t)
    return [Clip('val/clip', str(folder / '%06d.jpg'), 1 + 4 * i, 4) for i in range(3)]


def test_a_failing_clip_leaves_no_file_and_others_stay(tmp_path, clips):
    results = ClipResults(str(tmp_path / 'results'), {}, print)
    long = Clip('val/long', clips[0].pattern, 100, 4)
    clips[0].length = clips[1].length = 3      # the longest runs first
    run_clips(clips[:1], [mx.cpu()], FakeDetector, results)
    with pytest.raises(DataError, match='frame 3 is broken'):
        run_clips([clips[1], long], [mx.cpu()], lambda device: FakeDetector(fail_at=3), results)
    assert sorted(os.listdir(str(tmp_path / 'results' / 'clips'))) == ['000001_clip.json', '000001_clip.txt']
    assert [results.finished(clip) for clip in (clips[0], clips[1], long)] == [True, False, False]


def test_a_missing_frame_is_named(tmp_path, clips):
    clips[0].length = 6
    with pytest.raises(DataError, match=r'cannot read image .*000004\.jpg'):
        run_clips(clips, [mx.cpu(0), mx.cpu(1)], FakeDetector, ClipResults(str(tmp_path / 'results'), {}, print))


def test_lists_may_cut_a_folder_into_several_clips(tmp_path, clips):
    results = ClipResults(str(tmp_path / 'results'), {}, print)
    run_clips(clips, [mx.cpu()], FakeDetector, results)
    path, timing = results.merge(clips)
    with open(path, encoding='utf-8') as stream:
        lines = stream.read().splitlines()
    assert lines == ['%d 1 0.5000 1.00 2.00 3.00 4.00' % number for number in range(1, 13)]
    assert timing.counts == {'key': 3, 'current': 9} and timing.timed == {'key': 2, 'current': 8}
    assert timing.milliseconds() == pytest.approx({'reading': 1, 'key': 2, 'current': 2, 'post': 3, 'frame': 6})


def test_formatting():
    assert format_detections(7, np.empty((0, 6), np.float32)) == ''
    assert format_detections(7, np.array([[2, 0.98768, 0, 1.005, 319.999, 4]],
                                         np.float32)) == '7 2 0.9877 0.00 1.00 320.00 4.00\n'


def test_timing_without_timed_frames():
    timing = Timing()
    assert timing.describe().startswith('too few frames') and timing.milliseconds()['frame'] is None
