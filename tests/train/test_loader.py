"""Training batches: what they hold, that they repeat exactly, and what goes wrong with a clear message."""
import gc
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from dff.errors import DataError
from lib.config.defaults import detection_defaults
from lib.dataset.formats.records import Record
from lib.train.loaders import batches_ahead
from lib.train.loaders.detection_loader import DetectionLoader, load_sample, reference_frame_id
from lib.train.loaders.loader import epoch_order

HEIGHT, WIDTH = 90, 120


def frame(t):
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([(x * 2 + 9 * t) % 256, (y * 2) % 256, (x + y) % 256], axis=2).astype(np.uint8)


@pytest.fixture
def cfg():
    config = detection_defaults()
    config.SCALES = [(90, 160)]
    config.network.ANCHOR_SCALES = [2.0, 4.0, 8.0]
    return config


@pytest.fixture
def roidb(tmp_path):
    """Ten frames of a clip and two stills, with one to three boxes."""
    pattern = str(tmp_path / '%06d.png')
    for t in range(10):
        cv2.imwrite(pattern % t, frame(t))
    boxes = [np.array([[10, 20, 50, 70], [60, 10, 100, 60], [5, 5, 30, 30]][:1 + t % 3], np.float32) for t in range(12)]

    def record(t, clip, frame_id, length):
        return Record(pattern % t, HEIGHT, WIDTH, boxes[t], np.arange(1, 1 + len(boxes[t])), False, clip, frame_id,
                      length, '')
    return [record(t, pattern, t, 10) for t in range(10)] + [record(t, None, 0, 1) for t in range(2)]


def arrays(batch):
    return [array.asnumpy() for device in batch.data + batch.label for array in device]


def test_batches_hold_what_the_training_symbols_want(cfg, roidb):
    cfg.TRAIN.BATCH_IMAGES = 2
    batch = next(DetectionLoader(roidb, cfg, 2, references=True))
    shapes = dict(batch.provide_data[1] + batch.provide_label[1])
    assert len(batch.data) == 2 and shapes['data'] == shapes['data_ref'] == (2, 3, 90, 120)
    assert shapes['eq_flag'] == (2,) and shapes['im_info'] == (2, 3) and shapes['gt_boxes'][::2] == (2, 5)
    assert shapes['label'] == (2, 9 * 6 * 8) and shapes['bbox_target'] == shapes['bbox_weight'] == (2, 36, 6, 8)


def test_planned_shapes_are_those_of_the_largest_images(cfg, roidb):
    cfg.SCALES = [(90, 120)]
    loader = DetectionLoader(roidb, cfg, 1, references=True)
    data, labels = loader.max_shapes()
    batches = list(loader)
    for name, shape in list(data.items()) + list(labels.items()):
        seen = [dict(b.provide_data[0] + b.provide_label[0])[name] for b in batches]
        assert all(np.all(np.array(s) <= shape) for s in seen) and tuple(np.max(seen, axis=0)) == shape


def test_the_same_seed_gives_the_same_batches_and_another_epoch_others(cfg, roidb):
    first, again = DetectionLoader(roidb, cfg, 1, True), DetectionLoader(roidb, cfg, 1, True, workers=1)
    one, two = [arrays(b) for b in first], [arrays(b) for b in again]
    assert len(one) == first.batches_per_epoch == 12
    assert all(np.array_equal(x, y) for a, b in zip(one, two) for x, y in zip(a, b))
    first.reset()
    assert not all(np.array_equal(x[0], y[0]) for x, y in zip(one, [arrays(b) for b in first]))
    cfg.TRAIN.begin_epoch = 1                    # a resumed run starts there
    first.epoch = 0
    first.reset()
    resumed = DetectionLoader(roidb, cfg, 1, True)
    assert all(np.array_equal(x, y) for a, b in zip(first, resumed) for x, y in zip(arrays(a), arrays(b)))


def test_every_record_comes_once_an_epoch(cfg, roidb):
    for batch_size in (1, 2, 5):
        order = epoch_order(12, cfg, 3, batch_size)
        assert len(order) % batch_size == 0 and set(order) == set(range(12)) and len(order) < 12 + batch_size


def test_reference_frames_keep_to_the_clip(roidb):
    rng = np.random.RandomState(0)
    seen = {reference_frame_id(roidb[2], -9, 0, rng) for _ in range(100)}
    assert seen == {0, 1, 2}
    assert {reference_frame_id(roidb[9], -2, 1, rng) for _ in range(100)} == {7, 8, 9}


def test_reference_frame_and_flag(cfg, roidb):
    cfg.TRAIN.MIN_OFFSET = cfg.TRAIN.MAX_OFFSET = -3
    sample = load_sample(roidb[7], cfg, np.random.RandomState(0), True)
    other = load_sample(roidb[4], cfg, np.random.RandomState(0), True)
    assert sample['eq_flag'] == 0 and np.array_equal(sample['data_ref'], other['data'])
    still = load_sample(roidb[10], cfg, np.random.RandomState(0), True)
    assert still['eq_flag'] == 1 and still['data_ref'] is still['data']


def test_the_key_frame_before_the_reference(cfg, roidb):
    cfg.TRAIN.AGGREGATE, cfg.TRAIN.MIN_OFFSET, cfg.TRAIN.MAX_OFFSET = 'recursive', -4, -3
    sample = load_sample(roidb[9], cfg, np.random.RandomState(0), True)
    reference = next(number for number in (5, 6) if np.array_equal(
        sample['data_ref'], load_sample(roidb[number], cfg, np.random.RandomState(0), True)['data']))
    old = load_sample(roidb[reference - 2], cfg, np.random.RandomState(0), True)['data']
    assert np.array_equal(sample['data_old'], old) and sample['old_flag'] == sample['eq_flag'] == 0

    early = load_sample(roidb[4], cfg, np.random.RandomState(0), True)     # its reference is frame 0 or 1
    first = load_sample(roidb[0], cfg, np.random.RandomState(0), True)
    assert np.array_equal(early['data_old'], first['data'])
    assert early['old_flag'] == np.array_equal(early['data_ref'], first['data'])
    assert first['eq_flag'] == first['old_flag'] == 1 and first['data_old'] is first['data']
    still = load_sample(roidb[10], cfg, np.random.RandomState(0), True)
    assert still['eq_flag'] == still['old_flag'] == 1 and still['data_old'] is still['data']

    loader = DetectionLoader(roidb, cfg, 1, references=True)
    shapes = dict(next(loader).provide_data[0])
    assert shapes['data_old'] == shapes['data_ref'] and shapes['old_flag'] == (1,)
    assert loader.max_shapes()[0]['data_old'] == (1, 3, 90, 160)
    assert 'data_old' not in DetectionLoader(roidb, cfg, 1, references=False).data_names


def test_mirrored_records_mirror_the_image(cfg, roidb):
    plain, mirrored = (load_sample(record, cfg, np.random.RandomState(0), False)
                       for record in (roidb[0], roidb[0].flip()))
    assert np.array_equal(plain['data'][..., ::-1], mirrored['data'])
    left, right = plain['gt_boxes'][0, 0], mirrored['gt_boxes'][0, 0]
    patch = plain['data'][0, :, int(left[1]):int(left[3]) + 1, int(left[0]):int(left[2]) + 1]
    assert np.array_equal(patch[..., ::-1],
                          mirrored['data'][0, :, int(right[1]):int(right[3]) + 1, int(right[0]):int(right[2]) + 1])


def test_boxes_follow_the_scale_and_are_padded(cfg, roidb):
    cfg.SCALES, cfg.TRAIN.BATCH_IMAGES, cfg.TRAIN.SHUFFLE = [(45, 80)], 3, False
    batch = next(DetectionLoader(roidb, cfg, 1, references=False))
    boxes = batch.data[0][2].asnumpy()
    assert boxes.shape == (3, 4, 5)
    assert boxes[0, 0].tolist() == [5, 10, 25, 35, 1] and (boxes[0, 1:] == -1).all()
    assert (boxes[2, :, 4] == [1, 2, 3, -1]).all()


def test_wrong_images_are_named(cfg, roidb):
    roidb[0].height = 91
    with pytest.raises(DataError, match='000000.png is 120 x 90 pixels, but its annotation says 120 x 91'):
        load_sample(roidb[0], cfg, np.random.RandomState(0), False)
    roidb[1].image += 'x'
    with pytest.raises(DataError, match='cannot read image .*000001.pngx'):
        list(DetectionLoader(roidb[1:], cfg, 1, False))
    with pytest.raises(DataError, match='nothing to train on'):
        DetectionLoader([], cfg, 1, False)


@pytest.fixture
def warnings(monkeypatch):
    """The warnings of the run's log."""
    lines = []
    monkeypatch.setattr(batches_ahead.logger, 'warning', lambda text, *values: lines.append(text % values))
    return lines


def disturbed(loader, trouble, times):
    """`loader`, restarted, whose fifth record has `trouble` (a function) so many times; returns the image's name."""
    fifth = epoch_order(len(loader.records), loader.cfg, loader.epoch, 1)[4]
    record, make, left = loader.records[fifth], loader.make_device_batch, [times]

    def make_device_batch(records, seeds):
        if records[0] is record and left[0]:
            left[0] -= 1
            trouble()
        return make(records, seeds)
    loader.make_device_batch = make_device_batch
    loader.skip_to(0)
    return record.image


def fail():
    raise MemoryError('no memory')


def same(batches, others):
    return all(np.array_equal(x, y) for a, b in zip(batches, others)
               for x, y in zip(arrays(a), arrays(b))) and len(batches) == len(others)


def test_a_thread_that_fails_is_reported_and_its_batch_made_again(cfg, roidb, warnings):
    expected = list(DetectionLoader(roidb, cfg, 1, True))
    loader = DetectionLoader(roidb, cfg, 1, True)
    image = disturbed(loader, fail, 1)
    assert same(list(loader), expected)
    assert warnings == ["a thread that loads images failed (MemoryError('no memory')) at %s; fresh threads try once "
                        "more" % image]
    image = disturbed(loader, fail, 2)
    with pytest.raises(RuntimeError, match='loading failed at %s' % image):
        list(loader)


@pytest.mark.slow
def test_a_thread_that_hangs_is_reported_and_its_batch_made_again(cfg, roidb, warnings, monkeypatch):
    expected = list(DetectionLoader(roidb, cfg, 1, True))
    monkeypatch.setattr(batches_ahead, 'PATIENCE', 3.0)
    monkeypatch.setattr('lib.utils.batch_threads.ENDING', 0.1)
    loader, end = DetectionLoader(roidb, cfg, 1, True), threading.Event()
    image = disturbed(loader, end.wait, 1)
    assert same(list(loader), expected)
    assert warnings == ['a thread that loads images hangs at %s; fresh threads try once more' % image]
    end.set()


@pytest.mark.slow
def test_a_thread_that_hangs_for_ever_keeps_nobody_from_ending():
    code = """
import sys, time
sys.path.insert(0, %r)
from types import SimpleNamespace
from lib.config.defaults import detection_defaults
from lib.utils import batch_threads
from lib.train.loaders import batches_ahead, loader
from lib.utils.cli import run

class Hanging(loader.TrainLoader):
    def make_device_batch(self, records, seeds):
        if records[0].image == '1':
            time.sleep(1000)
        return {}

batches_ahead.PATIENCE = batch_threads.ENDING = 0.5
cfg = detection_defaults()
cfg.TRAIN.SHUFFLE = False
run(lambda: list(Hanging([SimpleNamespace(image=str(i)) for i in range(3)], cfg, 1, [], [])))
""" % str(Path(__file__).resolve().parents[2])
    done = subprocess.run([sys.executable, '-c', code], stderr=subprocess.PIPE, universal_newlines=True, timeout=120)
    assert done.returncode == 2
    assert 'error: loading hangs, twice for 0.5 s, at 1: is the disk or file server there?' in done.stderr


def test_threads_end_with_their_loader(cfg, roidb):
    def count():
        return sum(thread.name == 'loader' for thread in threading.enumerate())
    gc.collect()
    before = count()
    loader = DetectionLoader(roidb, cfg, 1, True, workers=3)
    next(loader)
    assert count() == before + 3
    del loader
    deadline = time.monotonic() + 30
    while count() > before and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.05)
    assert count() == before


@pytest.mark.slow
@pytest.mark.skipif(not Path('/proc/self/statm').exists(),
                    reason='the memory of a process is read in /proc, which Linux has')
def test_memory_stays_the_same_over_many_epochs(cfg, roidb):
    def resident():
        with open('/proc/self/statm') as stream:
            return int(stream.read().split()[1]) * 4096
    loader = DetectionLoader(roidb, cfg, 1, True)

    def epochs(number):
        for _ in range(number):
            for batch in loader:
                batch.data[0][0].wait_to_read()
            loader.reset()
    epochs(10)
    before = resident()
    epochs(50)                   # 600 batches with more than 170 KB of images each
    assert resident() - before < 10e6
