"""Anchors and RPN targets."""
import copy

import numpy as np
import pytest

from dff.boxes import decode_boxes
from dff_rfcn.config.config import config as default_config
from lib.boxes.anchors import all_anchors, base_anchors
from lib.boxes.targets import assign_anchors
from lib.boxes.transform import bbox_overlaps

SIZE, INFO = (12, 20), (180, 320, 1.5)
BOXES = np.array([[20, 30, 150, 140, 3], [180, 60, 300, 170, 12], [5, 5, 60, 50, 30]], np.float32)


@pytest.fixture
def cfg():
    cfg = copy.deepcopy(default_config)
    cfg.TRAIN.RPN_BATCH_SIZE = 100000
    return cfg


def assign(cfg, boxes=BOXES, seed=0, info=INFO):
    return assign_anchors(SIZE, boxes, info, cfg, np.random.RandomState(seed))


def rows(target):
    """[1, 4A, h, w] -> [h * w * A, 4]"""
    return (target['bbox_target'][0].transpose(1, 2, 0).reshape(-1, 4),
            target['label'].reshape(9, 12, 20).transpose(1, 2, 0).ravel())


def test_base_anchors_are_those_of_faster_rcnn():
    wanted = [[-84, -40, 99, 55], [-176, -88, 191, 103], [-360, -184, 375, 199], [-56, -56, 71, 71],
              [-120, -120, 135, 135], [-248, -248, 263, 263], [-36, -80, 51, 95], [-80, -168, 95, 183],
              [-168, -344, 183, 359]]
    np.testing.assert_array_equal(base_anchors(16, [8, 16, 32], [0.5, 1, 2]), wanted)


def test_all_anchors_run_row_by_row():
    anchors = all_anchors((3, 5), 16, (8.0,), (1.0, 2.0))
    assert anchors.shape == (30, 4)
    base = base_anchors(16, [8], [1, 2])
    np.testing.assert_array_equal(anchors[2 * (1 * 5 + 3):][:2], base + [48, 16, 48, 16])


def test_recorded_targets(reference, cfg):
    with np.load(reference / 'rfcn_and_boxes.npz') as recorded:
        target = assign(cfg, recorded['assign_anchor/gt'])
        np.testing.assert_array_equal(base_anchors(16, [8, 16, 32], [0.5, 1, 2]), recorded['anchors/base16'])
        for name, value in target.items():
            assert value.dtype == np.float32
            np.testing.assert_allclose(value, recorded['assign_anchor/' + name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_positive_anchors_decode_to_their_boxes(cfg):
    target = assign(cfg)
    deltas, label = rows(target)
    anchors = all_anchors(SIZE, 16, (8.0, 16.0, 32.0), (0.5, 1.0, 2.0))
    positive = label == 1
    decoded = decode_boxes(anchors[positive], deltas[positive] * cfg.network.ANCHOR_STDS, (1e6, 1e6, 1.0))
    assert positive.sum() >= len(BOXES)
    assert bbox_overlaps(decoded, BOXES).max(axis=1).min() > 0.999
    weight = target['bbox_weight'][0].transpose(1, 2, 0).reshape(-1, 4)
    np.testing.assert_array_equal(weight.any(axis=1), positive)


def test_anchors_that_cross_the_border_are_ignored(cfg):
    _, label = rows(assign(cfg))
    anchors = all_anchors(SIZE, 16, (8.0, 16.0, 32.0), (0.5, 1.0, 2.0))
    outside = (anchors[:, :2] < 0).any(axis=1) | (anchors[:, 2] >= 320) | (anchors[:, 3] >= 180)
    assert outside.any() and (label[outside] == -1).all()
    _, narrow = rows(assign(cfg, info=(180, 200, 1.0)))
    assert (narrow[anchors[:, 2] >= 200] == -1).all() and (narrow >= 0).any()


def test_thinning(cfg):
    cfg.network.update(ANCHOR_SCALES=[2.0, 4.0, 8.0])
    everything = assign(cfg)['label']
    cfg.TRAIN.update(RPN_BATCH_SIZE=40, RPN_FG_FRACTION=0.1)
    thinned = assign(cfg)['label']
    assert (everything == 1).sum() > 4
    assert (thinned == 1).sum() == 4 and (thinned == 0).sum() == 36
    assert (everything[thinned >= 0] == thinned[thinned >= 0]).all()
    np.testing.assert_array_equal(assign(cfg, seed=7)['label'], assign(cfg, seed=7)['label'])
    assert (assign(cfg, seed=7)['label'] != assign(cfg, seed=8)['label']).any()


@pytest.mark.parametrize('boxes', [np.zeros((0, 5)), np.full((2, 5), -1.0)])
def test_no_boxes(cfg, boxes):
    target = assign(cfg, boxes)
    assert set(np.unique(target['label'])) == {-1, 0}
    assert not target['bbox_target'].any() and not target['bbox_weight'].any()


def test_padding_rows_change_nothing(cfg):
    padded = assign(cfg, np.vstack([BOXES, np.full((2, 5), -1)]))
    for name, value in assign(cfg).items():
        np.testing.assert_array_equal(padded[name], value)


def test_box_that_no_anchor_touches_is_no_catch_all(cfg):
    lonely = np.array([[0, 170, 3, 179, 1.0]])
    cfg.network.update(ANCHOR_SCALES=[8.0], ANCHOR_RATIOS=[1.0])
    label = assign_anchors(SIZE, lonely, INFO, cfg, np.random.RandomState(0))['label']
    assert (label == 1).sum() == 0 and (label == 0).any()


def test_image_smaller_than_every_anchor(cfg):
    target = assign_anchors((2, 3), BOXES, (30, 40, 1.0), cfg, np.random.RandomState(0))
    assert target['label'].shape == (1, 54) and (target['label'] == -1).all()
    assert target['bbox_target'].shape == (1, 36, 2, 3) and np.isfinite(target['bbox_target']).all()


def test_clobbered_positives(cfg):
    cfg.TRAIN.RPN_NEGATIVE_OVERLAP = 0.65
    small_box = np.array([[100, 100, 120, 120, 1.0]])
    assert (assign(cfg, small_box)['label'] == 1).any()
    cfg.TRAIN.RPN_CLOBBER_POSITIVES = True
    assert not (assign(cfg, small_box)['label'] == 1).any()
