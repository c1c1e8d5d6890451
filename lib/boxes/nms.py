"""Greedy non-maximum suppression."""
import numpy as np

from lib.utils.compiled import pick


def suppress_numpy(boxes, thresh):
    """NumPy twin of lib/boxes/cpu_nms.pyx: boxes float32 [n, 4], best first -> indices kept, int64, ascending."""
    x1, y1, x2, y2 = boxes.T
    areas = (x2 - x1 + 1) * (y2 - y1 + 1)
    left = np.arange(len(boxes))
    keep = []
    while left.size:
        best, left = left[0], left[1:]
        keep.append(best)
        width = np.maximum(np.minimum(x2[best], x2[left]) - np.maximum(x1[best], x1[left]) + 1, 0)
        height = np.maximum(np.minimum(y2[best], y2[left]) - np.maximum(y1[best], y1[left]) + 1, 0)
        shared = width * height
        with np.errstate(invalid='ignore', divide='ignore'):          # boxes of no area
            overlap = shared / (areas[best] + areas[left] - shared)
        left = left[overlap <= np.float32(thresh)]
    return np.array(keep, dtype=np.int64)


_suppress = pick('lib.boxes.cpu_nms', 'suppress', suppress_numpy)


def nms(dets, thresh):
    """Rows of dets [n, 5] (x1 y1 x2 y2 score, inclusive corners) to keep, as a list of indices in order of falling score.

    A row goes when it overlaps a kept row of higher score by more than `thresh` (IoU, 0..1). Equal scores: the earlier
    row first. Rows that hold a NaN or an infinity are never kept.
    """
    dets = np.asarray(dets, dtype=np.float32).reshape(-1, 5)
    order = np.flatnonzero(np.isfinite(dets).all(axis=1))
    order = order[np.argsort(-dets[order, 4], kind='stable')]
    kept = _suppress(np.ascontiguousarray(dets[order, :4]), thresh)
    return order[kept].tolist()
