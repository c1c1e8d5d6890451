"""What a reader of masks hands over: outlines and label maps, in ids of the source's classes.

Of a Source that Source.write writes as masks, Item.boxes and Labels.boxes give a label map, uint8
[H, W]: places in Source.classes, UNLABELLED or IGNORE_LABEL.
"""
from typing import List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from lib.dataset.importers.model import Report, scales

UNLABELLED = 254           # no outline, or a class that is not asked for
MOST_CLASSES = 253         # of a source
FARTHEST = 1e6             # pixels; outlines are cut there


class Outline(NamedTuple):
    """A labelled area of an image."""

    label: int                                    # place in Source.classes, or IGNORE_LABEL
    # Its parts, float64 [n, 2] of x y each, between pixels: a pixel belongs to a part where its
    # centre, at a half, lies inside.
    polygons: Sequence[np.ndarray] = ()
    mask: Optional[np.ndarray] = None             # bool [h, w], of it the part from `corner` on
    corner: Tuple[int, int] = (0, 0)              # x, y


def polygon_mask(points: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the pixels whose centres lie inside a polygon, by the even-odd rule: bool [height,
    width].

    points: float64 [n, 2], x y.
    """
    x0, y0 = np.clip(points, -FARTHEST, FARTHEST).T
    x1, y1 = np.roll(x0, -1), np.roll(y0, -1)
    # An edge is crossed by the rows whose centre lies between its ends.
    first = np.clip(np.ceil(np.minimum(y0, y1) - 0.5), 0, height).astype(int)
    last = np.clip(np.ceil(np.maximum(y0, y1) - 0.5), 0, height).astype(int)
    toggles = np.zeros((height, width + 1), bool)
    for edge in np.flatnonzero(last > first):
        rows = np.arange(first[edge], last[edge])
        share = (rows + 0.5 - y0[edge]) / (y1[edge] - y0[edge])
        across = x0[edge] + share * (x1[edge] - x0[edge])
        toggles[rows, np.clip(np.ceil(across - 0.5), 0, width).astype(int)] ^= True
    return np.logical_xor.accumulate(toggles, axis=1)[:, :width]


def paint(outlines: Sequence[Outline], declared: Tuple[Optional[int], ...], size: Tuple[int, int],
          place: str, report: Report, smaller_on_top: bool) -> Optional[np.ndarray]:
    """Return the label map that outlines make; None where they are of another image.

    Where outlines of two classes overlap, the later one is on top, or with smaller_on_top that of
    fewer pixels; such label maps are counted.

    Args:
        outlines: of an image, in its annotation's order.
        declared: (height, width) that the annotation states, as of scales.
        size: (height, width) of the image.
        place: where the annotation is, for the report.
        report: where to count what is scaled, hidden or empty.
        smaller_on_top: the rule for overlaps; for annotations whose order means nothing.
    """
    factors = scales(declared, size, place, report, 'outlines')
    if factors is None:
        return None
    areas: List[Tuple[int, np.ndarray, Tuple[slice, slice]]] = []
    for outline in outlines:
        found = _area(outline, factors, size)
        if found is None:
            report.skip('outlines: they cover no pixel of their image', place)
        else:
            areas.append((outline.label, *found))
    if smaller_on_top:
        areas.sort(key=lambda area: -int(area[1].sum()))
    label, overlap = np.full(size, UNLABELLED, np.uint8), False
    for value, mask, where in areas:
        below = label[where]
        overlap |= bool((mask & (below != UNLABELLED) & (below != value)).any())
        below[mask] = value
    if overlap:
        report.change('label maps: where outlines of two classes overlap, the %s is on top'
                      % ('smaller' if smaller_on_top else 'later'), place)
    return label


def _area(outline: Outline, factors: Tuple[float, float], size: Tuple[int, int]
          ) -> Optional[Tuple[np.ndarray, Tuple[slice, slice]]]:
    """(its pixels, where in the image they are) of an outline; None where there are none."""
    down, across = factors
    height, width = size
    if outline.mask is not None:
        mask, (left, top) = _scaled(outline.mask, outline.corner, factors)
        low, high = max(0, -top), max(0, -left)
        mask = mask[low:max(low, height - top), high:max(high, width - left)]
        top, left = max(0, top), max(0, left)
        where = slice(top, top + mask.shape[0]), slice(left, left + mask.shape[1])
        return (mask, where) if mask.any() else None
    parts = [part * (across, down) for part in outline.polygons]
    every = np.clip(np.concatenate(parts), -FARTHEST, FARTHEST) if parts else np.zeros((1, 2))
    left, top = np.clip(np.floor(every.min(axis=0)), 0, (width, height)).astype(int)
    right, bottom = np.clip(np.ceil(every.max(axis=0)), 0, (width, height)).astype(int)
    mask = np.zeros((bottom - top, right - left), bool)
    for part in parts:
        mask |= polygon_mask(part - (left, top), *mask.shape)
    return (mask, (slice(top, bottom), slice(left, right))) if mask.any() else None


def _scaled(mask: np.ndarray, corner: Tuple[int, int], factors: Tuple[float, float]
            ) -> Tuple[np.ndarray, Tuple[int, int]]:
    """A mask and its corner at another size, each pixel that of the nearest one."""
    if factors == (1.0, 1.0):
        return mask, corner
    down, across = factors
    rows, columns = (max(1, round(side * factor)) for side, factor in zip(mask.shape, factors))
    picked = resized(mask.astype(np.uint8), (rows, columns)).astype(bool)
    return picked, (round(corner[0] * across), round(corner[1] * down))


def resized(label: np.ndarray, size: Tuple[int, int]) -> np.ndarray:
    """Return a label map, [H, W], at another size (height, width): of each pixel's centre the value
    of the pixel there."""
    rows, columns = (((np.arange(new) + 0.5) * old / new).astype(int)
                     for new, old in zip(size, label.shape))
    return label[rows][:, columns]
