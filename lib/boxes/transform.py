"""Box arithmetic. A box is x1 y1 x2 y2 in pixels, corners inclusive: its width is x2 - x1 + 1."""
import numpy as np

from lib.utils.compiled import pick


def _boxes(boxes):
    """The first four columns as contiguous float64 [n, 4]; an empty list counts as no boxes."""
    boxes = np.asarray(boxes, dtype=np.float64)
    return np.ascontiguousarray(boxes[:, :4] if boxes.size else boxes.reshape(0, 4))


def overlaps_numpy(a, b):
    """NumPy twin of lib/boxes/bbox.pyx: intersection over union of float64 [n, 4] and [k, 4] -> [n, k]."""
    with np.errstate(invalid='ignore'):
        width = np.minimum(a[:, None, 2], b[:, 2]) - np.maximum(a[:, None, 0], b[:, 0]) + 1
        height = np.minimum(a[:, None, 3], b[:, 3]) - np.maximum(a[:, None, 1], b[:, 1]) + 1
        area_a = (a[:, 2] - a[:, 0] + 1) * (a[:, 3] - a[:, 1] + 1)
        area_b = (b[:, 2] - b[:, 0] + 1) * (b[:, 3] - b[:, 1] + 1)
        shared = width * height
        union = area_a[:, None] + area_b - shared
        overlaps = np.zeros(shared.shape)
        np.divide(shared, union, out=overlaps, where=(width > 0) & (height > 0) & (union > 0))
    return overlaps


_overlaps = pick('lib.boxes.bbox', 'overlaps', overlaps_numpy)


def bbox_overlaps(a, b):
    """Intersection over union of every box of a [n, >=4] with every box of b [k, >=4] -> float64 [n, k].

    A box with a NaN overlaps nothing (0).
    """
    return _overlaps(_boxes(a), _boxes(b))


def _centres(boxes):
    """Widths, heights and centres of float64 [n, 4]."""
    widths = boxes[:, 2] - boxes[:, 0] + 1.0
    heights = boxes[:, 3] - boxes[:, 1] + 1.0
    return widths, heights, boxes[:, 0] + 0.5 * (widths - 1.0), boxes[:, 1] + 0.5 * (heights - 1.0)


def bbox_transform(ex, gt):
    """Deltas (dx, dy, dw, dh) that turn boxes ex [n, 4] into gt [n, 4] -> float64 [n, 4] (R-CNN, appendix C)."""
    width, height, x, y = _centres(_boxes(ex))
    gt_width, gt_height, gt_x, gt_y = _centres(_boxes(gt))
    return np.stack([(gt_x - x) / (width + 1e-14), (gt_y - y) / (height + 1e-14),
                     np.log(gt_width / width), np.log(gt_height / height)], axis=1)


def bbox_pred(boxes, deltas):
    """Apply deltas [n, 4k] (k sets of dx dy dw dh, one a class) to boxes [n, 4] -> float64 boxes [n, 4k]."""
    deltas = np.asarray(deltas, dtype=np.float64)
    width, height, x, y = (value[:, None] for value in _centres(_boxes(boxes)))
    centre_x = deltas[:, 0::4] * width + x
    centre_y = deltas[:, 1::4] * height + y
    half_width = 0.5 * (np.exp(deltas[:, 2::4]) * width - 1.0)
    half_height = 0.5 * (np.exp(deltas[:, 3::4]) * height - 1.0)
    out = np.empty(deltas.shape)
    out[:, 0::4], out[:, 1::4] = centre_x - half_width, centre_y - half_height
    out[:, 2::4], out[:, 3::4] = centre_x + half_width, centre_y + half_height
    return out


def clip_boxes(boxes, size):
    """Boxes [n, 4k] with every corner moved inside an image of size (height, width); a new array of the same type."""
    height, width = size[:2]
    boxes = np.array(boxes)
    boxes[:, 0::2] = np.clip(boxes[:, 0::2], 0, width - 1)
    boxes[:, 1::2] = np.clip(boxes[:, 1::2], 0, height - 1)
    return boxes
