"""How fast annotated objects move: the motion IoU of Zhu et al., ICCV 2017 (arXiv 1703.10025), section 5."""
import numpy as np

NEARBY = 10      # frames, before and after
SPEEDS = ('slow', 'medium', 'fast')
RANGES = {'slow': '> 0.9', 'medium': '0.7 to 0.9', 'fast': '< 0.7'}
NO_MOTION = 'no object has a track id and a second box within %d frames' % NEARBY


def motion_iou(clips, frames, tracks, boxes):
    """Mean IoU of every box with those of the same object in the 10 frames before and after: float64 [m].

    clips, frames: int [m], the clip of each box and its place in it; tracks: int [m], the object, below 0 where it is not known;
    boxes: [m, 4], inclusive corners. NaN where the object is not known or has no other box nearby. Of several boxes of an object in
    one frame only the first counts, the others are NaN.
    """
    total, count = np.zeros(len(boxes)), np.zeros(len(boxes))
    known = np.flatnonzero(tracks >= 0)
    if not len(known):
        return np.full(len(boxes), np.nan)
    _, objects = np.unique(np.stack([clips[known], tracks[known]], axis=1), axis=0, return_inverse=True)
    span = int(frames.max()) + NEARBY + 1                  # so that the end of one object does not meet the start of the next
    keys = objects.ravel().astype(np.int64) * span + frames[known]
    keys, first = np.unique(keys, return_index=True)
    rows = known[first]
    for distance in range(1, NEARBY + 1):
        place = np.minimum(np.searchsorted(keys, keys + distance), len(keys) - 1)
        earlier = np.flatnonzero(keys[place] == keys + distance)
        a, b = rows[earlier], rows[place[earlier]]
        with np.errstate(over='ignore', invalid='ignore'):       # boxes of absurd size
            overlap = _iou(boxes[a], boxes[b])
        for side in (a, b):
            total[side] += overlap
            count[side] += 1
    with np.errstate(invalid='ignore'):
        return total / count


def _iou(a, b):
    """IoU [n] of inclusive boxes [n, 4]."""
    width = np.maximum(np.minimum(a[:, 2], b[:, 2]) - np.maximum(a[:, 0], b[:, 0]) + 1, 0)
    height = np.maximum(np.minimum(a[:, 3], b[:, 3]) - np.maximum(a[:, 1], b[:, 1]) + 1, 0)
    areas = [(box[:, 2] - box[:, 0] + 1) * (box[:, 3] - box[:, 1] + 1) for box in (a, b)]
    return width * height / np.maximum(areas[0] + areas[1] - width * height, 1)       # below 1 only where a box is empty


def speeds(motion):
    """Place in SPEEDS of every motion IoU, -1 for NaN: int8 [m]; None where all are NaN."""
    if np.isnan(motion).all():
        return None
    return np.select([np.isnan(motion), motion > 0.9, motion >= 0.7], [-1, 0, 1], 2).astype(np.int8)
