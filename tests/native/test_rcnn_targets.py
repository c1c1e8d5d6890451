"""Proposal targets and hard example mining against plain NumPy."""
import copy

import mxnet as mx
import numpy as np
import pytest

from dff.errors import ConfigError
from dff_rfcn.config.config import config as default_config
from lib.boxes.transform import bbox_overlaps, bbox_transform
from lib.symbols.operators import mine_hard
from lib.symbols.rcnn_targets import rcnn_targets
from tests.helpers.symbol_tools import run

NAMES = ('rois', 'label', 'target', 'weight')


@pytest.fixture
def cfg():
    cfg = copy.deepcopy(default_config)
    cfg.dataset.NUM_CLASSES = 6
    cfg.TRAIN.RPN_POST_NMS_TOP_N = 60
    return cfg


def boxes_near(random, gt_boxes, count):
    """`count` boxes [count, 4], half of them shifted ground truth."""
    corner = random.rand(count, 2) * [200, 120]
    boxes = np.hstack([corner, corner + 10 + random.rand(count, 2) * 90])
    near = gt_boxes[random.randint(len(gt_boxes), size=count // 2), :4]
    boxes[:count // 2] = near + random.randn(count // 2, 4) * 4
    return boxes[random.permutation(count)]


def example(seed, images=1, proposals=60, boxes=(4,)):
    """rois [B * n, 5] and gt_boxes [B, G, 5] padded with -1."""
    random = np.random.RandomState(seed)
    gt_boxes = np.full((images, max(max(boxes), 1), 5), -1.0)
    rois = []
    for image in range(images):
        corner = random.rand(boxes[image], 2) * [200, 100]
        gt_boxes[image, :boxes[image]] = np.hstack([corner, corner + 20 + random.rand(boxes[image], 2) * 80,
                                                    random.randint(1, 6, (boxes[image], 1))])
        near = gt_boxes[image, :max(boxes[image], 1)]
        rois.append(np.hstack([np.full((proposals, 1), image), boxes_near(random, near, proposals)]))
    return np.vstack(rois).astype(np.float32), gt_boxes.astype(np.float32)


def evaluate(rois, gt_boxes, cfg):
    symbol = mx.sym.Group(list(rcnn_targets(mx.sym.Variable('rois'), mx.sym.Variable('gt_boxes'), cfg)))
    outputs, _ = run(symbol, {'rois': rois, 'gt_boxes': gt_boxes}, train=True)
    return dict(zip(NAMES, (value.astype(np.float64) for value in outputs.values())))


def oracle(rois, gt_boxes, image, cfg):
    """All RoIs of one image as BATCH_ROIS -1 orders them, with labels and targets, in plain NumPy."""
    boxes = np.vstack([rois[rois[:, 0] == image, 1:], gt_boxes[image, :, :4]]).astype(np.float64)
    real = gt_boxes[image][gt_boxes[image, :, 4] >= 0].astype(np.float64)
    padding = len(gt_boxes[image]) - len(real)
    usable = np.arange(len(boxes)) < len(boxes) - padding
    overlaps = bbox_overlaps(boxes, real) if len(real) else np.zeros((len(boxes), 1))
    best, nearest = overlaps.max(axis=1), overlaps.argmax(axis=1)
    train = cfg.TRAIN
    foreground = np.flatnonzero((best >= train.FG_THRESH) & usable)
    background = np.flatnonzero((best < train.BG_THRESH_HI) & (best >= train.BG_THRESH_LO)
                                & (best < train.FG_THRESH) & usable)
    rest = np.setdiff1d(np.arange(len(boxes)), np.concatenate([foreground, background]))
    order = np.concatenate([foreground, background, rest])
    label = np.concatenate([real[nearest[foreground], 4] if len(real) else [], np.zeros(len(background)),
                            -np.ones(len(rest))])
    sets = 2 if cfg.CLASS_AGNOSTIC else cfg.dataset.NUM_CLASSES
    target, weight = np.zeros((2, len(order), sets, 4))
    for row, index in enumerate(foreground):
        slot = 1 if cfg.CLASS_AGNOSTIC else int(label[row])
        deltas = bbox_transform(boxes[index:index + 1], real[nearest[index]:nearest[index] + 1])[0]
        target[row, slot] = (deltas - train.BBOX_MEANS) / train.BBOX_STDS
        weight[row, slot] = train.BBOX_WEIGHTS
    rows = np.hstack([np.full((len(order), 1), image), boxes[order]])
    return {'rois': rows, 'label': label, 'target': target.reshape(len(order), -1),
            'weight': weight.reshape(len(order), -1)}


def agree(found, wanted):
    for name in NAMES:
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-4, atol=2e-5, err_msg=name)


@pytest.mark.parametrize('agnostic', [True, False])
@pytest.mark.parametrize('seed', range(3))
def test_all_rois(cfg, agnostic, seed):
    cfg.CLASS_AGNOSTIC = agnostic
    rois, gt_boxes = example(seed)
    found = evaluate(rois, gt_boxes, cfg)
    agree(found, oracle(rois, gt_boxes, 0, cfg))
    assert (found['label'] > 0).sum() > 4


def test_batch_with_padding_is_image_by_image(cfg):
    cfg.TRAIN.BATCH_IMAGES = 3
    rois, gt_boxes = example(5, images=3, boxes=(2, 5, 0))
    found = evaluate(rois, gt_boxes, cfg)
    wanted = [oracle(rois, gt_boxes, image, cfg) for image in range(3)]
    agree(found, {name: np.concatenate([part[name] for part in wanted]) for name in NAMES})
    assert set(found['label'][-65:-5]) == {0} and set(found['label'][-5:]) == {-1}


def test_degenerate_and_broken_rois_do_not_spread(cfg):
    rois, gt_boxes = example(6)
    clean = evaluate(rois, gt_boxes, cfg)
    background = np.flatnonzero((bbox_overlaps(rois[:, 1:], gt_boxes[0]) < 0.5).all(axis=1))[:4]
    rois[background[0], 1:] = [50, 50, 20, 20]
    rois[background[1], 1:] = [np.nan, 0, 10, 10]
    rois[background[2], 1:] = [0, 0, np.inf, 10]
    rois[background[3], 1:] = [-1e9, -1e9, -1e9, -1e9]
    found = evaluate(rois, gt_boxes, cfg)
    assert np.isfinite(found['target']).all() and np.isfinite(found['weight']).all()
    assert (found['label'] > 0).sum() == (clean['label'] > 0).sum()


def test_rois_below_the_background_threshold_are_ignored(cfg):
    cfg.TRAIN.BG_THRESH_LO = 0.1
    cfg.TRAIN.update(BBOX_MEANS=[0.1, 0.0, -0.1, 0.2], BBOX_WEIGHTS=[1.0, 2.0, 3.0, 4.0])
    rois, gt_boxes = example(1)
    found = evaluate(rois, gt_boxes, cfg)
    agree(found, oracle(rois, gt_boxes, 0, cfg))
    assert (found['label'] == -1).any() and (found['label'] == 0).any()


def test_between_the_thresholds_is_ignored(cfg):
    cfg.TRAIN.FG_THRESH = 0.7
    rois, gt_boxes = example(2)
    agree(evaluate(rois, gt_boxes, cfg), oracle(rois, gt_boxes, 0, cfg))


@pytest.mark.parametrize('agnostic', [True, False])
def test_sampling(cfg, agnostic):
    cfg.CLASS_AGNOSTIC = agnostic
    cfg.TRAIN.update(BATCH_ROIS=32, BATCH_IMAGES=2, FG_FRACTION=0.25)
    rois, gt_boxes = example(3, images=2, boxes=(4, 1))
    everything = [oracle(rois, gt_boxes, image, cfg) for image in range(2)]
    seen = set()
    for seed in range(5):
        mx.random.seed(seed)
        found = evaluate(rois, gt_boxes, cfg)
        seen.add(found['rois'].tobytes())
        assert found['rois'].shape == (32, 5) and found['target'].shape == (32, 8 if agnostic else 24)
        for image, full in enumerate(everything):
            part = {name: value[image * 16:][:16] for name, value in found.items()}
            assert (part['label'] > 0).sum() == 4 and (part['label'][4:] == 0).all()
            places = [int(np.abs(full['rois'] - roi).sum(axis=1).argmin()) for roi in part['rois']]
            assert len(set(places)) == 16
            agree(part, {name: value[places] for name, value in full.items()})
    assert len(seen) == 5
    mx.random.seed(4)
    assert evaluate(rois, gt_boxes, cfg)['rois'].tobytes() == found['rois'].tobytes()


def test_sample_is_filled_up_with_ignored_rois(cfg):
    cfg.TRAIN.update(BATCH_ROIS=40, FG_FRACTION=0.1)
    rois, gt_boxes = example(4)
    rois[:, 1:] = gt_boxes[0, 0, :4]     # every proposal is foreground, of which 4 may stay
    found = evaluate(rois, gt_boxes, cfg)
    assert (found['label'] > 0).sum() == 4 and (found['label'] == -1).sum() == 36
    assert (found['weight'].any(axis=1) == (found['label'] > 0)).all()


@pytest.mark.parametrize('batch_rois, images', [(61, 1), (0, 1), (33, 2), (-2, 1)])
def test_impossible_samples_are_explained(cfg, batch_rois, images):
    cfg.TRAIN.update(BATCH_ROIS=batch_rois, BATCH_IMAGES=images)
    with pytest.raises(ConfigError,
                       match=r'TRAIN.BATCH_ROIS is %d; it must be -1 \(all\), or a multiple of BATCH_IMAGES'
                       % batch_rois):
        rcnn_targets(mx.sym.Variable('rois'), mx.sym.Variable('gt_boxes'), cfg)


def mined(score, deltas, label, target, weight, images, keep):
    names = ['score', 'deltas', 'label', 'target', 'weight']
    symbol = mx.sym.Group(list(mine_hard(*[mx.sym.Variable(name) for name in names], images=images, keep=keep)))
    outputs, _ = run(symbol, dict(zip(names, (score, deltas, label, target, weight))))
    return list(outputs.values())


@pytest.mark.parametrize('keep', [7, 20, 50])
def test_hard_examples(keep):
    random = np.random.RandomState(keep)
    score, deltas, target = random.randn(40, 5), random.randn(40, 8), random.randn(40, 8)
    label = random.randint(-1, 5, 40)
    weight = np.repeat(random.rand(40, 2) > 0.5, 4, axis=1) * (label > 0)[:, None]
    found_label, found_weight = mined(score, deltas, label, target, weight, 2, keep)

    softmax = np.exp(score) / np.exp(score).sum(axis=1, keepdims=True)
    difference = np.abs(deltas - target)
    loss = (weight * np.where(difference < 1, 0.5 * difference ** 2, difference - 0.5)).sum(axis=1)
    loss = np.where(label < 0, -1, loss - np.log(softmax[np.arange(40), np.maximum(label, 0)]))
    hard = np.zeros(40, bool)
    for start in (0, 20):
        hard[start + np.argsort(-loss[start:start + 20])[:keep]] = True
    np.testing.assert_array_equal(found_label, np.where(hard, label, -1))
    np.testing.assert_array_equal(found_weight, weight * hard[:, None])


def test_of_equal_losses_the_last_are_kept():
    label, _ = mined(np.zeros((6, 3)), np.zeros((6, 8)), np.ones(6), np.zeros((6, 8)), np.ones((6, 8)), 1, 2)
    np.testing.assert_array_equal(label, [-1, -1, -1, -1, 1, 1])
