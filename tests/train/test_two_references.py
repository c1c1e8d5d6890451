"""The two reference frames that FGFA trains with."""
import cv2
import numpy as np
import pytest

from lib.config.defaults import detection_defaults
from lib.dataset.formats.records import Record
from lib.train.loaders.detection_loader import DetectionLoader, load_sample, two_frame_ids


@pytest.fixture
def cfg():
    config = detection_defaults()
    config.SCALES = [(90, 160)]
    config.network.ANCHOR_SCALES = [2.0, 4.0, 8.0]
    return config


@pytest.fixture
def roidb(tmp_path):
    """Ten frames of a clip and a still, of one box each."""
    pattern = str(tmp_path / '%06d.png')
    for t in range(10):
        cv2.imwrite(pattern % t, np.full((90, 120, 3), 20 * t, np.uint8))
    box = np.array([[10, 20, 50, 70]], np.float32)

    def record(t, clip, length):
        return Record(pattern % t, 90, 120, box, np.array([1]), False, clip, t, length, '')
    return [record(t, pattern, 10) for t in range(10)] + [record(0, None, 1)]


def test_fgfa_gets_two_other_frames(cfg, roidb):
    cfg.TRAIN.MAX_OFFSET = 9
    loader = DetectionLoader(roidb, cfg, 1, references=2)
    assert loader.data_names == ['data', 'data_bef', 'data_aft', 'im_info', 'gt_boxes']
    batch = next(loader)
    assert dict(batch.provide_data[0])['data_aft'] == (1, 3, 90, 120) and set(loader.max_shapes()[0]) == set(
        loader.data_names)
    seen = set()
    for seed in range(200):
        ids = two_frame_ids(roidb[5], -2, 2, np.random.RandomState(seed))
        assert len(set(ids)) == 2
        seen.update([tuple(ids)])
    assert seen == {(a, b) for a in range(3, 8) for b in range(3, 8) if a != b}
    # kept inside the clip, in which they may then coincide
    assert {tuple(two_frame_ids(roidb[0], -2, -1, np.random.RandomState(seed))) for seed in range(9)} == {(0, 0)}

    cfg.TRAIN.MIN_OFFSET, cfg.TRAIN.MAX_OFFSET = 1, 2
    sample = load_sample(roidb[3], cfg, np.random.RandomState(0), 2)
    wanted = [load_sample(roidb[t], cfg, None, 0)['data'] for t in (4, 5)]
    first = 0 if np.array_equal(sample['data_bef'], wanted[0]) else 1
    np.testing.assert_array_equal(sample['data_bef'], wanted[first])
    np.testing.assert_array_equal(sample['data_aft'], wanted[1 - first])
    still = load_sample(roidb[10], cfg, np.random.RandomState(0), 2)
    assert still['data_bef'] is still['data'] and still['data_aft'] is still['data'] and 'eq_flag' not in still
