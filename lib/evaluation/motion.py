"""How fast annotated objects move: the motion IoU of Zhu et al., ICCV 2017 (arXiv 1703.10025),
section 5.
"""
from typing import Optional

import numpy as np

from dff.boxes import paired_overlaps

NEARBY = 10      # frames, before and after
SPEEDS = ('slow', 'medium', 'fast')
RANGES = {'slow': '> 0.9', 'medium': '0.7 to 0.9', 'fast': '< 0.7'}
NO_MOTION = 'no object has a track id and a second box within %d frames' % NEARBY


def motion_iou(clips: np.ndarray, frames: np.ndarray, tracks: np.ndarray,
               boxes: np.ndarray) -> np.ndarray:
    """Return the mean IoU of every box with those of the same object in the 10 frames before and
    after.

    Args:
        clips: int [m], the clip of each box.
        frames: int [m], the place of its frame in the clip.
        tracks: int [m], the object, below 0 where it is not known.
        boxes: float64 [m, 4], x1 y1 x2 y2 with inclusive corners.

    Returns:
        float64 [m]; NaN where the object is not known or has no other box nearby. Of several boxes
        of an object in one frame only the first counts, the others are NaN.
    """
    total, count = np.zeros(len(boxes)), np.zeros(len(boxes))
    known = np.flatnonzero(tracks >= 0)
    if not len(known):
        return np.full(len(boxes), np.nan)
    _, objects = np.unique(np.stack([clips[known], tracks[known]], axis=1), axis=0, return_inverse=True)
    span = int(frames.max()) + NEARBY + 1      # so that the end of one object does not meet the start of the next
    keys = objects.ravel().astype(np.int64) * span + frames[known]
    keys, first = np.unique(keys, return_index=True)
    rows = known[first]
    for distance in range(1, NEARBY + 1):
        place = np.minimum(np.searchsorted(keys, keys + distance), len(keys) - 1)
        earlier = np.flatnonzero(keys[place] == keys + distance)
        a, b = rows[earlier], rows[place[earlier]]
        with np.errstate(over='ignore', invalid='ignore'):       # boxes of absurd size
            overlap = paired_overlaps(boxes[a], boxes[b])
        for side in (a, b):
            total[side] += overlap
            count[side] += 1
    with np.errstate(invalid='ignore'):
        return total / count


def speeds(motion: np.ndarray) -> Optional[np.ndarray]:
    """Return the place in SPEEDS of every motion IoU, float64 [m], as int8 [m], -1 for NaN; None
    where all are NaN.
    """
    if np.isnan(motion).all():
        return None
    return np.select([np.isnan(motion), motion > 0.9, motion >= 0.7], [-1, 0, 1], 2).astype(np.int8)
