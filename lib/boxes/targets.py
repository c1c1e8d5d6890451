"""Training targets of the region proposal network (Faster R-CNN, arXiv 1506.01497, sections 3.1.2
and 3.1.3).
"""
from typing import Dict, Tuple

import numpy as np
from easydict import EasyDict

from lib.boxes.transform import bbox_overlaps, bbox_transform
from lib.boxes.anchors import all_anchors, anchor_scales


def assign_anchors(feature_size: Tuple[int, int], gt_boxes: np.ndarray, im_info: np.ndarray,
                   cfg: EasyDict, rng: np.random.RandomState) -> Dict[str, np.ndarray]:
    """Label the anchors of one image and give them boxes to aim at.

    Only anchors wholly inside the image count. Positive: the best ones of every box, and those
    that overlap one by RPN_POSITIVE_OVERLAP; negative: those below RPN_NEGATIVE_OVERLAP with all.
    Both are thinned at random to RPN_BATCH_SIZE, of which at most RPN_FG_FRACTION positive.

    Args:
        feature_size: (h, w) of the map that the RPN sees.
        gt_boxes: [n, 5], x1 y1 x2 y2 class; rows of class -1 (padding) are left out.
        im_info: (height, width, scale) of the network's input.
        cfg: the settings; its sections `network` and `TRAIN` are read.
        rng: draws the anchors that are thinned out.

    Returns:
        dict of float32: label [1, A * h * w] (1, 0, -1 ignored), bbox_target and bbox_weight
        [1, 4A, h, w].
    """
    network, train = cfg.network, cfg.TRAIN
    anchors = all_anchors(tuple(feature_size), network.RPN_FEAT_STRIDE, anchor_scales(network),
                          tuple(network.ANCHOR_RATIOS))
    gt_boxes = np.asarray(gt_boxes, np.float64).reshape(-1, 5)
    gt_boxes = gt_boxes[gt_boxes[:, 4] >= 0]
    inside = np.flatnonzero((anchors[:, 0] >= 0) & (anchors[:, 1] >= 0)
                            & (anchors[:, 2] < int(im_info[1])) & (anchors[:, 3] < int(im_info[0])))
    candidates = anchors[inside]
    label = np.full(len(anchors), -1, np.float32)
    target, weight = (np.zeros((len(anchors), 4), np.float32) for _ in range(2))

    inside_label, nearest = _label(candidates, gt_boxes, train)
    _thin(inside_label, 1, int(train.RPN_FG_FRACTION * train.RPN_BATCH_SIZE), rng)
    _thin(inside_label, 0, train.RPN_BATCH_SIZE - np.count_nonzero(inside_label == 1), rng)
    label[inside] = inside_label
    if len(gt_boxes):
        deltas = bbox_transform(candidates, gt_boxes[nearest])
        if network.NORMALIZE_RPN:
            deltas = (deltas - network.ANCHOR_MEANS) / network.ANCHOR_STDS
        target[inside] = deltas
    weight[label == 1] = train.RPN_BBOX_WEIGHTS

    height, width = feature_size
    return {'label': label.reshape(height, width, -1).transpose(2, 0, 1).reshape(1, -1),
            'bbox_target': _as_map(target, height, width), 'bbox_weight': _as_map(weight, height, width)}


def _label(anchors, gt_boxes, train):
    """Label of every anchor before thinning, float32 [m], and the index of the box it overlaps
    most.
    """
    label = np.full(len(anchors), -1, np.float32)
    if not len(gt_boxes) or not len(anchors):
        label[:] = 0
        return label, np.zeros(len(anchors), np.int64)
    overlaps = bbox_overlaps(anchors, gt_boxes)
    nearest = overlaps.argmax(axis=1)
    best = overlaps[np.arange(len(anchors)), nearest]
    negative = best < train.RPN_NEGATIVE_OVERLAP
    label[negative] = 0
    # A box that no inside anchor touches would otherwise make all of them positive.
    label[((overlaps == overlaps.max(axis=0)) & (overlaps > 0)).any(axis=1)] = 1
    label[best >= train.RPN_POSITIVE_OVERLAP] = 1
    if train.RPN_CLOBBER_POSITIVES:
        label[negative] = 0
    return label, nearest


def _thin(label, value, keep, rng):
    """Ignore all but `keep` of the anchors labelled `value`, drawn at random."""
    found = np.flatnonzero(label == value)
    if len(found) > keep:
        label[rng.choice(found, len(found) - keep, replace=False)] = -1


def _as_map(rows, height, width):
    """[h * w * A, 4] -> [1, 4A, h, w], contiguous."""
    return np.ascontiguousarray(rows.reshape(height, width, -1).transpose(2, 0, 1)[None])
