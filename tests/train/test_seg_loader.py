"""Segmentation batches: crops, mirrored and reference frames, padding, and what goes wrong with a clear message."""
import cv2
import numpy as np
import pytest

from dff.errors import ConfigError, DataError
from lib.config.config import update_from_settings
from lib.config.defaults import segmentation_defaults
from lib.dataset.formats.seg_labels import id_table, read_label
from lib.dataset.formats.seg_records import SegRecord
from lib.dataset.segdb import load_segdb
from lib.train.loaders.seg_loader import SegLoader, crop_window, load_sample

HEIGHT, WIDTH = 60, 90
MEANS = np.array([103.06, 115.90, 123.15])


@pytest.fixture
def cfg():
    config = segmentation_defaults()
    config.SCALES = [(HEIGHT, WIDTH)]
    config.TRAIN.update(CROP_HEIGHT=40, CROP_WIDTH=50)
    return config


@pytest.fixture
def segdb(tmp_path):
    """Every third frame of a clip of ten is labelled, and there are two stills.
    Label and image say where a pixel lies."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    for t in range(10):
        cv2.imwrite(str(tmp_path / ('%06d.png' % t)),
                    np.stack([x, y, np.full_like(x, 20 * t)], axis=2).astype(np.uint8))
    cv2.imwrite(str(tmp_path / 'label.png'), (x // 10).astype(np.uint8))
    frames = [str(tmp_path / ('%06d.png' % t)) for t in range(10)]
    label = str(tmp_path / 'label.png')
    return ([SegRecord(frames[t], label, frames, t) for t in (0, 3, 6, 9)]
            + [SegRecord(frame, label, [frame], 0) for frame in frames[:2]])


def label_of(record):
    return read_label(record.label, id_table(9), record.image)


def sample(record, cfg, seed=0, with_reference=False):
    return load_sample(record, label_of, cfg, np.random.RandomState(seed), with_reference)


def pixels(tensor):
    """BGR [H, W, 3] of a network input."""
    return np.rint(tensor[0, ::-1].transpose(1, 2, 0) + MEANS).astype(int)


def test_crops_lie_inside_and_cut_image_and_label_alike(cfg, segdb):
    corners = set()
    for seed in range(60):
        one = sample(segdb[1], cfg, seed)
        assert one['data'].shape == (1, 3, 40, 50) and one['label'].shape == (1, 1, 40, 50)
        image = pixels(one['data'])
        corners.add((image[0, 0, 1], image[0, 0, 0]))
        assert (image[-1, -1, :2] == image[0, 0, :2] + [49, 39]).all() and (image[..., 2] == 60).all()
        np.testing.assert_array_equal(one['label'][0, 0], image[..., 0] // 10)
    rows, columns = zip(*corners)
    assert min(rows) >= 0 and max(rows) <= 20 and max(columns) <= 40 and len(set(rows)) > 12 and len(set(columns)) > 20


def test_every_corner_of_a_crop_is_drawn():
    random = np.random.RandomState(0)
    windows = [crop_window((5, 7), (4, 4), random) for _ in range(300)]
    assert {(rows.start, columns.start) for rows, columns in windows} == {(y, x) for y in range(2) for x in range(4)}
    assert all((rows.stop - rows.start, columns.stop - columns.start) == (4, 4) for rows, columns in windows)
    assert crop_window((3, 4), (5, 4), random) == (slice(0, 5), slice(0, 4))


def test_reference_frames_keep_to_the_clip_and_to_the_crop(cfg, segdb):
    for index, wanted in ((1, {0, 1, 2, 3}), (3, {5, 6, 7, 8, 9})):
        seen = {}
        for seed in range(60):
            one = sample(segdb[index], cfg, seed, with_reference=True)
            current, reference = pixels(one['data']), pixels(one['data_ref'])
            np.testing.assert_array_equal(current[..., :2], reference[..., :2])
            frame = int(reference[0, 0, 2]) // 20
            seen[frame] = one['eq_flag'].tolist()
            assert current[0, 0, 2] // 20 == segdb[index].index
        assert set(seen) == wanted
        assert all(flag == [float(frame == segdb[index].index)] for frame, flag in seen.items())


def test_a_still_is_its_own_reference(cfg, segdb):
    one = sample(segdb[5], cfg, with_reference=True)
    assert one['eq_flag'] == [1] and one['data_ref'] is one['data']


def test_mirrored_records_mirror_frames_and_label(cfg, segdb):
    cfg.TRAIN.ENABLE_CROP, cfg.TRAIN.MIN_OFFSET, cfg.TRAIN.MAX_OFFSET = False, -2, -2
    plain, mirrored = (sample(record, cfg, 0, True) for record in (segdb[1], segdb[1].flip()))
    for name in ('data', 'data_ref', 'label'):
        assert np.array_equal(plain[name][..., ::-1], mirrored[name])
        assert not np.array_equal(plain[name], mirrored[name])
    assert pixels(mirrored['data_ref'])[0, 0].tolist() == [WIDTH - 1, 0, 20]


def test_crops_larger_than_the_frame_are_padded_and_ignored(cfg, segdb):
    cfg.TRAIN.update(CROP_HEIGHT=80, CROP_WIDTH=50)
    one = sample(segdb[0], cfg, 3)
    assert one['data'].shape == (1, 3, 80, 50)
    assert (one['label'][0, 0, HEIGHT:] == 255).all() and (one['label'][0, 0, :HEIGHT] < 9).all()
    assert (one['data'][..., HEIGHT:, :] == 0).all() and (one['data'][..., :HEIGHT, :] != 0).any()


def test_labels_follow_the_scale_and_the_stride(cfg, segdb):
    cfg.SCALES, cfg.TRAIN.ENABLE_CROP, cfg.network.IMAGE_STRIDE = [(30, 60)], False, 32
    one = sample(segdb[0], cfg)
    assert one['data'].shape == (1, 3, 32, 64) and one['label'].shape == (1, 1, 32, 64)
    assert (one['label'][0, 0, 30:] == 255).all() and (one['label'][0, 0, :, 45:] == 255).all()
    assert set(np.unique(one['label'][0, 0, :30, :45])) == set(range(9))


def test_random_scales_hold_for_frames_and_label_alike(cfg, segdb):
    cfg.TRAIN.update(RANDOM_SCALE=[0.5, 2.0], MIN_OFFSET=-1, MAX_OFFSET=-1)
    steps = set()
    for seed in range(40):
        one = sample(segdb[1], cfg, seed, with_reference=True)
        assert one['data'].shape == one['data_ref'].shape == (1, 3, 40, 50)
        current, reference, label = pixels(one['data']), pixels(one['data_ref']), one['label'][0, 0]
        inside = label != 255
        np.testing.assert_array_equal(current[inside][:, :2], reference[inside][:, :2])
        assert np.abs(current[..., 0] / 10.0 - 0.5 - label)[inside].max() < 0.7
        row = current[5, inside[5], 0]
        steps.add(round((row[-1] - row[0]) / (len(row) - 1.0), 1))      # pixels of the frame for one of the crop
    assert min(steps) <= 0.6 and max(steps) >= 1.8 and len(steps) > 6


def test_wrong_random_scales_are_refused():
    for settings, message in ((['TRAIN.RANDOM_SCALE=[1.5, 0.5]'], 'TRAIN.RANDOM_SCALE must be two factors'),
                              (['TRAIN.RANDOM_SCALE=[0, 1]'], 'all of TRAIN.RANDOM_SCALE must be above 0'),
                              (['TRAIN.RANDOM_SCALE=[2]'], 'TRAIN.RANDOM_SCALE must hold 2 numbers'),
                              (['TRAIN.RANDOM_SCALE=[1, 2]', 'TRAIN.ENABLE_CROP=false'],
                               'RANDOM_SCALE needs TRAIN.ENABLE_CROP')):
        with pytest.raises(ConfigError, match=message):
            update_from_settings(segmentation_defaults(), settings)


def test_batches_hold_what_the_training_symbols_want(cfg, segdb):
    cfg.TRAIN.BATCH_IMAGES = 2
    loader = SegLoader(segdb, label_of, cfg, 2, with_reference=True)
    batch = next(loader)
    shapes = dict(batch.provide_data[1] + batch.provide_label[1])
    assert shapes == {'data': (2, 3, 40, 50), 'data_ref': (2, 3, 40, 50), 'eq_flag': (2,), 'label': (2, 1, 40, 50)}
    data, label = loader.max_shapes()
    assert {**data, **label} == shapes
    assert loader.batches_per_epoch == 2 and SegLoader(segdb, label_of, cfg, 2, False).data_names == ['data']


def test_whole_frames_of_several_sizes_share_a_batch(cfg, segdb, tmp_path):
    cfg.TRAIN.update(ENABLE_CROP=False, BATCH_IMAGES=2, SHUFFLE=False)
    cv2.imwrite(str(tmp_path / 'tall.png'), np.full((WIDTH, HEIGHT, 3), 7, np.uint8))
    cv2.imwrite(str(tmp_path / 'tall_label.png'), np.zeros((WIDTH, HEIGHT), np.uint8))
    tall = SegRecord(str(tmp_path / 'tall.png'), str(tmp_path / 'tall_label.png'), [str(tmp_path / 'tall.png')], 0)
    batch = next(SegLoader([segdb[0], tall], label_of, cfg, 1, with_reference=False))
    data, label = batch.data[0][0].asnumpy(), batch.label[0][0].asnumpy()
    assert data.shape == (2, 3, WIDTH, WIDTH) and label.shape == (2, 1, WIDTH, WIDTH)
    assert (label[0, 0, HEIGHT:] == 255).all() and (label[1, 0, :, HEIGHT:] == 255).all()
    assert (label[1, 0, :, :HEIGHT] == 0).all()


def test_the_same_seed_gives_the_same_batches_and_another_epoch_others(cfg, segdb):
    def arrays(loader):
        return [array.asnumpy() for batch in loader for device in batch.data + batch.label for array in device]
    first = SegLoader(segdb, label_of, cfg, 1, True)
    one, two = arrays(first), arrays(SegLoader(segdb, label_of, cfg, 1, True, workers=1))
    assert len(one) == 4 * len(segdb) and all(np.array_equal(a, b) for a, b in zip(one, two))
    first.reset()
    later = arrays(first)
    assert not all(np.array_equal(a, b) for a, b in zip(one, later))
    cfg.TRAIN.begin_epoch = 1                    # a resumed run starts there
    assert all(np.array_equal(a, b) for a, b in zip(later, arrays(SegLoader(segdb, label_of, cfg, 1, True))))


def test_wrong_files_are_named(cfg, segdb, tmp_path):
    cv2.imwrite(str(tmp_path / 'small.png'), np.zeros((30, 30, 3), np.uint8))
    frames = [str(tmp_path / 'small.png'), segdb[0].image]
    cfg.TRAIN.MIN_OFFSET = cfg.TRAIN.MAX_OFFSET = -1
    with pytest.raises(DataError, match='000000.png and .*small.png belong to one clip but differ in size'):
        sample(SegRecord(frames[1], segdb[0].label, frames, 1), cfg, with_reference=True)
    with pytest.raises(DataError,
                       match='label .*label.png is 90 pixels wide and 60 high, but its frame .*small.png is 30 x 30'):
        sample(SegRecord(frames[0], segdb[0].label, frames, 0), cfg)
    with pytest.raises(DataError, match='cannot read image .*gone.png'):
        sample(SegRecord(str(tmp_path / 'gone.png'), segdb[0].label, frames, 0), cfg)
    with pytest.raises(DataError, match='label .*nowhere.png does not exist'):
        list(SegLoader([SegRecord(segdb[0].image, str(tmp_path / 'nowhere.png'), [segdb[0].image], 0)], label_of, cfg,
                       1, False))
    with pytest.raises(DataError, match='nothing to train on'):
        SegLoader([], label_of, cfg, 1, False)


def test_image_sets_are_joined_and_mirrored(cfg, tmp_path):
    for name, count in (('a', 2), ('b', 1)):
        for folder, shape in ((name, (8, 8, 3)), (name + 'annot', (8, 8))):
            (tmp_path / folder).mkdir()
            for index in range(count):
                cv2.imwrite(str(tmp_path / folder / ('%d.png' % index)), np.ones(shape, np.uint8))
    cfg.dataset.update(dataset='SegFolder', dataset_path=str(tmp_path), image_set='a+b', CLASSES=['sky', 'road'],
                       NUM_CLASSES=2)
    records, read = load_segdb(cfg)
    assert len(records) == 6 and [record.flipped for record in records] == [False] * 3 + [True] * 3
    assert (read(records[2]) == 1).all()
    cfg.TRAIN.FLIP = False
    assert len(load_segdb(cfg)[0]) == 3


def test_data_sets_of_detection_are_refused(cfg, tmp_path):
    (tmp_path / 'ImageSets').mkdir()
    (tmp_path / 'ImageSets' / 'VID_val.txt').write_text('val/x 1\n')
    cfg.dataset.update(dataset='ImageNetVID', dataset_path=str(tmp_path), image_set='VID_val', NUM_CLASSES=31)
    with pytest.raises(ConfigError, match="'ImageNetVID' has labels for detection, but segmentation is to be done"):
        load_segdb(cfg)
