"""Box arithmetic. A box is x1 y1 x2 y2 in pixels, corners inclusive: its width is x2 - x1 + 1."""
import numpy as np

from dff import boxes
from lib.utils.compiled import pick


def _boxes(rows):
    """The first four columns as contiguous float64 [n, 4]; an empty list counts as no boxes."""
    rows = np.asarray(rows, dtype=np.float64)
    return np.ascontiguousarray(rows[:, :4] if rows.size else rows.reshape(0, 4))


_overlaps = pick('lib.boxes.bbox', 'overlaps', boxes.overlaps)


def bbox_overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the intersection over union of every box of a [n, >=4] with every box of b [k, >=4]:
    float64 [n, k].

    A box with a NaN overlaps nothing (0).
    """
    return _overlaps(_boxes(a), _boxes(b))


def _centres(boxes):
    """Widths, heights and centres of float64 [n, 4]."""
    widths = boxes[:, 2] - boxes[:, 0] + 1.0
    heights = boxes[:, 3] - boxes[:, 1] + 1.0
    return widths, heights, boxes[:, 0] + 0.5 * (widths - 1.0), boxes[:, 1] + 0.5 * (heights - 1.0)


def bbox_transform(ex: np.ndarray, gt: np.ndarray) -> np.ndarray:
    """Return the deltas (dx, dy, dw, dh), float64 [n, 4], that turn boxes ex [n, >=4] into gt.

    R-CNN (arXiv 1311.2524), appendix C. gt: [n, >=4].
    """
    width, height, x, y = _centres(_boxes(ex))
    gt_width, gt_height, gt_x, gt_y = _centres(_boxes(gt))
    return np.stack([(gt_x - x) / (width + 1e-14), (gt_y - y) / (height + 1e-14),
                     np.log(gt_width / width), np.log(gt_height / height)], axis=1)


def target_normalisation(train):
    """Return (means, stds), four numbers each, of the R-FCN head: its targets are (delta - mean) / std.

    train: the settings' section TRAIN, where BBOX_NORMALIZATION_PRECOMPUTED says whether BBOX_MEANS
    and BBOX_STDS are used.
    """
    if not train.BBOX_NORMALIZATION_PRECOMPUTED:
        return (0.0,) * 4, (1.0,) * 4
    return tuple(train.BBOX_MEANS), tuple(train.BBOX_STDS)
