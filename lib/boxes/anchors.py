"""Anchors of the region proposal network (Faster R-CNN, arXiv 1506.01497, section 3.1.1)."""
import functools
from typing import Sequence, Tuple

import numpy as np
from easydict import EasyDict

UNIT = 16     # pixels: what network.ANCHOR_SCALES are multiples of, whatever the stride


def anchor_scales(network: EasyDict) -> Tuple[float, ...]:
    """Return the `scales` of base_anchors for network.ANCHOR_SCALES, in units of the feature map's cells.

    network: the settings' section of that name.
    """
    return tuple(scale * (UNIT // network.RPN_FEAT_STRIDE) for scale in network.ANCHOR_SCALES)


def base_anchors(stride: int, scales: Sequence[float], ratios: Sequence[float]) -> np.ndarray:
    """Return the anchors of a map's first place: float64 [len(ratios) * len(scales), 4], ratios
    outermost.

    They are built on the box (0, 0, stride - 1, stride - 1), with corners in inclusive image
    pixels. Widths and heights of the unscaled boxes are rounded, as MXNet's Proposal operator
    does.

    Args:
        stride: image pixels for one map pixel.
        scales: factors on width and height.
        ratios: height / width.
    """
    ratio = np.asarray(ratios, np.float64)
    widths = np.round(np.sqrt(stride * stride / ratio))
    heights = np.round(widths * ratio)
    half_width = (np.outer(widths, scales).ravel() - 1) / 2
    half_height = (np.outer(heights, scales).ravel() - 1) / 2
    centre = (stride - 1) / 2.0
    return np.stack([centre - half_width, centre - half_height, centre + half_width, centre + half_height], axis=1)


@functools.lru_cache(maxsize=16)
def all_anchors(feature_size: Tuple[int, int], stride: int, scales: Tuple[float, ...],
                ratios: Tuple[float, ...]) -> np.ndarray:
    """Return the anchors of every place of a map, float64 [h * w * A, 4], row by row, read-only.

    Args:
        feature_size: (h, w) of the map.
        stride: image pixels for one map pixel.
        scales, ratios: see `base_anchors`; tuples, because the result is cached by the arguments.
    """
    shift_y, shift_x = np.mgrid[:feature_size[0], :feature_size[1]] * stride
    shifts = np.stack([shift_x, shift_y, shift_x, shift_y], axis=2).reshape(-1, 1, 4)
    anchors = (shifts + base_anchors(stride, scales, ratios)).reshape(-1, 4)
    anchors.setflags(write=False)
    return anchors
