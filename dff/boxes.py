"""Boxes: decoding, intersection over union, non-maximum suppression, and all of them for one frame.

What NumPy computes here is the definition; where the native library is built, lib/boxes/frame_detections.py
gives the same, faster. Boxes are x1 y1 x2 y2 with inclusive pixel corners: a box w pixels wide has x2 = x1 + w - 1.
"""
from typing import Tuple

import numpy as np


def overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the intersection over union of every box of float64 a [n, 4] with every box of b [k, 4]: float64 [n, k].

    A box with a NaN, or of no area, overlaps nothing (0).
    """
    with np.errstate(invalid='ignore'):
        width = np.minimum(a[:, None, 2], b[:, 2]) - np.maximum(a[:, None, 0], b[:, 0]) + 1
        height = np.minimum(a[:, None, 3], b[:, 3]) - np.maximum(a[:, None, 1], b[:, 1]) + 1
        return _ratio(width, height, _areas(a)[:, None], _areas(b))


def paired_overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the intersection over union of each box of float64 a [n, 4] with that of b [n, 4] in its row: float64 [n].

    A box with a NaN, or of no area, overlaps nothing (0).
    """
    with np.errstate(invalid='ignore'):
        width = np.minimum(a[:, 2], b[:, 2]) - np.maximum(a[:, 0], b[:, 0]) + 1
        height = np.minimum(a[:, 3], b[:, 3]) - np.maximum(a[:, 1], b[:, 1]) + 1
        return _ratio(width, height, _areas(a), _areas(b))


def covered_shares(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return what every box of float64 a [n, 4] and every box of b [k, 4] share, as a part of the smaller
    one: float64 [n, k], 0 to 1. A box with a NaN, or of no area, shares nothing.
    """
    with np.errstate(invalid='ignore'):
        ratio = overlaps(a, b)
        first, second = _areas(a)[:, None], _areas(b)
        shared, smaller = ratio * (first + second) / (1 + ratio), np.minimum(first, second)
        return np.divide(shared, smaller, out=np.zeros(shared.shape), where=ratio > 0)


def _areas(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0] + 1) * (boxes[:, 3] - boxes[:, 1] + 1)


def _ratio(width, height, area_a, area_b):
    """Shared area over joint area, 0 where nothing is shared."""
    shared = width * height
    union = area_a + area_b - shared
    return np.divide(shared, union, out=np.zeros(shared.shape), where=(width > 0) & (height > 0) & (union > 0))


def frame_detections(rois: np.ndarray, cls_prob: np.ndarray, bbox_pred: np.ndarray, im_info: np.ndarray,
                     score_thresh: float,
                     nms_thresh: float, max_per_image: int = 300) -> np.ndarray:
    """Return the detections of one frame.

    Args:
        rois: [R, 4] boxes x1 y1 x2 y2 in pixels of the network's input, or [R, 5] with a first
            column (the image index) that is ignored.
        cls_prob: [R, C + 1] scores; column 0 is the background.
        bbox_pred: [R, 8] class-agnostic regression (columns 4:8 are used), or [R, 4 * (C + 1)] with
            columns of its own for every class.
        im_info: height and width of the network's input, and the scale from the image to it.
        score_thresh: a box is a detection of a class if its score is greater.
        nms_thresh: a detection is dropped if its overlap with a better one of its class is greater.
        max_per_image: at most so many detections, the best of the frame; 0 or less: no limit.

    Returns:
        float32 [n, 6]: class (from 1), score, x1, y1, x2, y2 in pixels of the original image, inclusive
        corners; ordered by class, then by falling score, equal scores in the order of `rois`.
        Boxes or scores that are not finite are never detections.

    Raises:
        ValueError: shapes that do not fit each other, or a scale that is not positive.
    """
    rois, cls_prob, bbox_pred, im_info = checked_outputs(rois, cls_prob, bbox_pred, im_info)
    boxes = _decoded(rois, cls_prob, bbox_pred, im_info)
    return best_detections(boxes, cls_prob, score_thresh, nms_thresh, max_per_image)


def best_detections(boxes: np.ndarray, scores: np.ndarray, score_thresh: float, nms_thresh: float,
                    max_per_image: int = 300) -> np.ndarray:
    """Return the detections among boxes that are decoded already, as frame_detections does.

    Args:
        boxes: float32 [R, 4], of all classes, or [R, C + 1, 4], in pixels of the original image.
        scores: float32 [R, C + 1]; column 0 is the background.
        score_thresh, nms_thresh, max_per_image: as of frame_detections.
    """
    parts = []
    for label in range(1, scores.shape[1]):
        own_scores = scores[:, label]
        own_boxes = boxes if boxes.ndim == 2 else boxes[:, label]
        chosen = np.where((own_scores > np.float32(score_thresh)) & np.isfinite(own_scores)
                          & np.isfinite(own_boxes).all(axis=1))[0]
        order = chosen[np.argsort(-own_scores[chosen], kind='stable')]
        keep = order[greedy_nms(own_boxes[order], nms_thresh)]
        labels = np.full(len(keep), label, dtype=np.float32)
        parts.append(np.column_stack((labels, own_scores[keep], own_boxes[keep])))
    detections = np.concatenate(parts) if parts else np.empty((0, 6))
    return best_of_frame(detections, max_per_image).astype(np.float32)


def best_of_frame(detections: np.ndarray, max_per_image: int) -> np.ndarray:
    """Return the rows of `detections`, [n, 6] of one frame, of the largest scores, in their order.

    max_per_image: how many; 0 or less: all. Of equal scores (column 1) the earlier row stays.
    """
    if not 0 < max_per_image < len(detections):
        return detections
    return detections[np.sort(np.argsort(-detections[:, 1], kind='stable')[:max_per_image])]


def boxes_before_nms(rois: np.ndarray, cls_prob: np.ndarray, bbox_pred: np.ndarray,
                     im_info: np.ndarray, score_thresh: float) -> np.ndarray:
    """Return the boxes of one frame from which NMS would choose: float32 [n, 6].

    Columns are those of frame_detections; they are ordered by class, then as `rois`.

    rois, cls_prob, bbox_pred, im_info, score_thresh: as of frame_detections, with its errors.
    """
    rois, cls_prob, bbox_pred, im_info = checked_outputs(rois, cls_prob, bbox_pred, im_info)
    if cls_prob.shape[1] < 2:
        return np.empty((0, 6), np.float32)
    return decoded_before_nms(_decoded(rois, cls_prob, bbox_pred, im_info), cls_prob, score_thresh)


def decoded_before_nms(boxes: np.ndarray, scores: np.ndarray, score_thresh: float) -> np.ndarray:
    """Return what boxes_before_nms does, from boxes that are decoded already.

    boxes, scores, score_thresh: as of best_detections.
    """
    with np.errstate(invalid='ignore'):
        labels, rows = np.nonzero(((scores > np.float32(score_thresh)) & np.isfinite(scores)).T)
    rows, labels = rows[labels > 0], labels[labels > 0]
    chosen = boxes[rows] if boxes.ndim == 2 else boxes[rows, labels]
    found = np.column_stack((labels, scores[rows, labels], chosen)).astype(np.float32)
    return found[np.isfinite(chosen).all(axis=1)]


def checked_outputs(rois: np.ndarray, cls_prob: np.ndarray, bbox_pred: np.ndarray,
                    im_info: np.ndarray) -> Tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the arrays `rois`, `cls_prob`, `bbox_pred`, `im_info` of frame_detections as contiguous
    float32; rois as [R, 4].

    Raises ValueError for shapes that do not fit each other.
    """
    rois, cls_prob, bbox_pred = (np.ascontiguousarray(a, dtype=np.float32) for a in (rois, cls_prob, bbox_pred))
    im_info = np.ascontiguousarray(im_info, dtype=np.float32).reshape(-1)
    count, columns = cls_prob.shape if cls_prob.ndim == 2 else (-1, -1)
    if columns < 1:
        raise ValueError('frame_detections: cls_prob must be [R, C + 1], not %s' % (cls_prob.shape,))
    if rois.ndim != 2 or rois.shape[0] != count or rois.shape[1] not in (4, 5):
        raise ValueError('frame_detections: rois must be [%d, 4 or 5] to fit cls_prob %s, not %s'
                         % (count, cls_prob.shape, rois.shape))
    if bbox_pred.shape not in ((count, 8), (count, 4 * columns)):
        raise ValueError('frame_detections: bbox_pred must be [%d, 8] (class-agnostic) or [%d, %d] to fit '
                         'cls_prob %s, not %s' % (count, count, 4 * columns, cls_prob.shape, bbox_pred.shape))
    if im_info.size != 3 or not im_info[2] > 0:
        raise ValueError('frame_detections: im_info must be height, width and a positive scale, not %s' % im_info)
    return np.ascontiguousarray(rois[:, -4:]), cls_prob, bbox_pred, im_info


def _decoded(rois, cls_prob, bbox_pred, im_info):
    """The boxes that best_detections takes, from checked arrays."""
    if bbox_pred.shape[1] == 8:
        return decode_boxes(rois, bbox_pred[:, 4:8], im_info)
    return np.stack([decode_boxes(rois, deltas, im_info)
                     for deltas in np.split(bbox_pred, cls_prob.shape[1], axis=1)], axis=1)


def decode_boxes(rois: np.ndarray, deltas: np.ndarray, im_info: np.ndarray) -> np.ndarray:
    """Return boxes [R, 4] float32 in pixels of the original image, clipped to it (R-CNN, arXiv 1311.2524, appendix C).

    In float64 until the end, so that every implementation of exp rounds to the same result.

    Args:
        rois: float32 [R, 4], in pixels of the network's input.
        deltas: float32 [R, 4]: dx, dy, dw, dh.
        im_info: height and width of the network's input, and the scale from the image to it.
    """
    rois, deltas = rois.astype(np.float64), deltas.astype(np.float64)
    height, width, scale = (float(v) for v in im_info)
    size = rois[:, 2:] - rois[:, :2] + 1.0
    centre = rois[:, :2] + 0.5 * (size - 1.0)
    with np.errstate(over='ignore', invalid='ignore'):
        new_centre = deltas[:, :2] * size + centre
        half = 0.5 * (np.exp(deltas[:, 2:]) * size - 1.0)
        boxes = np.hstack((new_centre - half, new_centre + half))
        last = np.array([width, height, width, height]) - 1.0
        return (np.maximum(np.minimum(boxes, last), 0.0) / scale).astype(np.float32)


def greedy_nms(boxes: np.ndarray, thresh: float) -> np.ndarray:
    """Return the indices, int64, that greedy NMS keeps of `boxes`, float32 [n, 4] in order of falling score.

    A box goes when it overlaps a kept one before it by more than `thresh` (0 to 1).
    """
    limit = np.float32(thresh)
    x1, y1, x2, y2 = boxes.T
    areas = (x2 - x1 + 1) * (y2 - y1 + 1)
    alive = np.ones(len(boxes), dtype=bool)
    keep = []
    for i in range(len(boxes)):
        if not alive[i]:
            continue
        keep.append(i)
        w = np.maximum(np.minimum(x2[i], x2[i + 1:]) - np.maximum(x1[i], x1[i + 1:]) + 1, 0)
        h = np.maximum(np.minimum(y2[i], y2[i + 1:]) - np.maximum(y1[i], y1[i + 1:]) + 1, 0)
        common = w * h
        with np.errstate(divide='ignore', invalid='ignore'):  # two empty boxes: NaN, which exceeds nothing
            alive[i + 1:] &= ~(common / (areas[i] + areas[i + 1:] - common) > limit)
    return np.array(keep, dtype=np.int64)
