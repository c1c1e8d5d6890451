"""Anchors that fit boxes, and how well they do."""
import math
from typing import List, NamedTuple, Sequence, Tuple

import numpy as np

from dff.image import resize_scale
from lib.boxes.anchors import base_anchors

STRIDE = 16                     # of the feature map; with FEATURE_STRIDE 8 more boxes find an anchor
OVERLAPS = (0.5, 0.7)           # at which recall is reported
# Fewer scales than three would know one size of objects only.
SCALES, RATIOS = range(3, 6), range(1, 4)
# Of `score`: less is no reason for other anchors; of the best of those that were tried, as much is left for fewer.
MATTERS, SPARED = 0.02, 0.05


class Anchors(NamedTuple):
    """Anchors of the network's settings."""

    scales: Tuple[float, ...]   # of ANCHOR_SCALES
    ratios: Tuple[float, ...]   # of ANCHOR_RATIOS: height / width

    @property
    def number(self) -> int:
        """Return NUM_ANCHORS."""
        return len(self.scales) * len(self.ratios)


def input_boxes(sizes: np.ndarray, boxes: np.ndarray, scales: Sequence[int]) -> Tuple[np.ndarray, np.ndarray]:
    """Return (sizes, boxes) as the network sees them, in pixels of its input.

    Args:
        sizes: float64 [n, 2], height and width of the frame of each box.
        boxes: float64 [n, 4].
        scales: one of SCALES.
    """
    factors = np.array([resize_scale(height, width, scales) for height, width in sizes])
    return np.round(sizes * factors[:, None]), boxes * factors[:, None]


def best_overlaps(sizes: np.ndarray, boxes: np.ndarray, anchors: Anchors) -> np.ndarray:
    """Return the intersection over union of every box with the best anchor of its image: float64 [n].

    As in training (lib/boxes/targets.py) an anchor lies at the places of the feature map and wholly
    inside the image. Of one shape the place nearest to the box is the best.

    Args:
        sizes: float64 [n, 2], height and width of the network's input.
        boxes: float64 [n, 4], x1 y1 x2 y2, inclusive corners, pixels of the input.
        anchors: the Anchors.
    """
    best = np.zeros(len(boxes))
    area = np.prod(boxes[:, 2:] - boxes[:, :2] + 1, axis=1)
    for x1, y1, x2, y2 in base_anchors(STRIDE, anchors.scales, anchors.ratios):
        shared, exists = np.ones(len(boxes)), np.ones(len(boxes), bool)
        for axis, low, high in ((0, x1, x2), (1, y1, y2)):
            length, start, end = sizes[:, 1 - axis], boxes[:, axis], boxes[:, axis + 2]
            first = max(0, math.ceil(-low / STRIDE))
            last = np.minimum(np.ceil(length / STRIDE), np.ceil((length - high) / STRIDE)) - 1
            exists &= last >= first
            place = np.clip(np.round((start + end - low - high) / 2 / STRIDE), first, np.maximum(last, first)) * STRIDE
            shared *= np.maximum(0, np.minimum(end, place + high) - np.maximum(start, place + low) + 1)
        union = area + (x2 - x1 + 1) * (y2 - y1 + 1) - shared
        best = np.maximum(best, np.where(exists, shared / union, 0))
    return best


def recall(overlaps: np.ndarray) -> List[float]:
    """Return the share of boxes whose best anchor reaches each of OVERLAPS."""
    return [float(np.mean(overlaps >= least)) for least in OVERLAPS]


def score(overlaps: np.ndarray) -> float:
    """Return what anchors are chosen by: the mean of the shares that reach an overlap of 0.5, 0.6 and 0.7."""
    return float(np.mean([np.mean(overlaps >= least) for least in (0.5, 0.6, 0.7)]))


def fit_anchors(sizes: np.ndarray, boxes: np.ndarray, present: Anchors) -> Anchors:
    """Return the anchors to use: `present` where others are not better by MATTERS, else the fewest of the best.

    Args:
        sizes, boxes: as of best_overlaps.
        present: of the settings.
    """
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    scale = np.log(np.sqrt(np.prod(sides, axis=1)) / STRIDE)
    ratio = np.log(sides[:, 1] / sides[:, 0])
    fitted = [Anchors(_rounded(centres(scale, scales)), _rounded(centres(ratio, ratios)))
              for scales in SCALES for ratios in RATIOS]
    scores = [score(best_overlaps(sizes, boxes, anchors)) for anchors in fitted]
    enough = [(anchors.number, -reached, anchors) for anchors, reached in zip(fitted, scores)
              if reached >= max(scores) - SPARED]
    _, reached, chosen = min(enough)
    return chosen if -reached > score(best_overlaps(sizes, boxes, present)) + MATTERS else present


def centres(values: np.ndarray, count: int) -> np.ndarray:
    """Return the means of `count` groups of numbers, float64 [at most count], ascending: k-means from quantiles."""
    found = np.quantile(values, (np.arange(count) + 0.5) / count)
    for _ in range(30):
        nearest = np.abs(values[:, None] - found).argmin(axis=1)
        found = np.array([values[nearest == i].mean() if (nearest == i).any() else found[i] for i in range(count)])
    return np.unique(found)


def _rounded(logarithms: np.ndarray) -> Tuple[float, ...]:
    """Their exponentials, of two digits."""
    return tuple(dict.fromkeys(float('%.2g' % value) for value in np.exp(logarithms)))
