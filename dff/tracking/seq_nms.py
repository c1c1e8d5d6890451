"""Seq-NMS (Han et al., arXiv 1602.08465): boxes of a clip that follow each other share their score.

For each class of a clip, on the boxes before NMS. What NumPy computes here is the definition; where
the native library is built, lib/boxes/seq_nms.py gives the same, faster.
"""
from typing import Iterator, List, NamedTuple, Tuple

import numpy as np

from dff.boxes import greedy_nms, overlaps

LINK = 0.5           # boxes of consecutive frames follow each other from this overlap on
SUPPRESS = 0.3       # a box goes from this overlap with a path's box of its frame on
LEAST_SUM = 0.01     # no path below this sum of scores is taken
MIN_SCORE = 1e-3     # boxes take part from above this score on
RESCORE = ('avg', 'max')


class Path(NamedTuple):
    """Boxes of consecutive frames, each overlapping the one before."""

    first: int             # frame of its first box, from 0
    places: List[int]      # of its boxes, each counted within its frame
    total: float           # sum of their scores


def seq_nms(offsets: np.ndarray, boxes: np.ndarray, scores: np.ndarray,
            rescore: str = 'avg') -> Tuple[np.ndarray, np.ndarray]:
    """Return which boxes of one class of a clip stay, and their new scores.

    The first is int64 [k], ascending, the second float64 [k].

    Args:
        offsets: int [T + 1]; frame t has the boxes offsets[t] to offsets[t + 1] - 1.
        boxes: float32 [n, 4], x1 y1 x2 y2, inclusive corners.
        scores: float64 [n], above 0.
        rescore: what every box of a path gets: avg, the mean of their scores, or max, the largest.
    """
    alive = np.ones(len(boxes), dtype=bool)
    scores = np.array(scores, np.float64)
    new = scores.copy()
    for path, suppressed in _Clip(offsets, boxes, scores).take():
        rows = offsets[path.first:path.first + len(path.places)] + np.array(path.places)
        new[rows] = path.total / len(rows) if rescore == 'avg' else scores[rows].max()
        alive[suppressed] = False
    keep = np.flatnonzero(alive)
    return keep, new[keep]


def paths(offsets: np.ndarray, boxes: np.ndarray, scores: np.ndarray) -> List[Path]:
    """Return the paths in the order in which they are taken, those of one box too.

    offsets, boxes, scores: as of seq_nms.
    """
    return [path for path, _ in _Clip(offsets, boxes, np.array(scores, np.float64)).take()]


def nms_of_frames(offsets: np.ndarray, boxes: np.ndarray, scores: np.ndarray,
                  thresh: float) -> np.ndarray:
    """Return the indices, int64, that NMS keeps in each frame, frame by frame, by falling score.

    Equal scores stay in the order of `boxes`. offsets, boxes, scores: as of seq_nms; thresh: a box
    goes when its overlap with a better one of its frame is greater.
    """
    kept = [np.empty(0, np.int64)]
    for start, end in zip(offsets[:-1], offsets[1:]):
        order = start + np.argsort(-scores[start:end], kind='stable')
        kept.append(order[greedy_nms(boxes[order], thresh)])
    return np.concatenate(kept)


class _Clip:
    """The boxes of one class that no path has taken or suppressed, and the best paths to them."""

    def __init__(self, offsets, boxes, scores):
        self._offsets = offsets
        frames = list(zip(offsets[:-1], offsets[1:]))
        self._boxes = [boxes[start:end].astype(np.float64) for start, end in frames]
        self._scores = [scores[start:end] for start, end in frames]
        self._free = [np.ones(end - start, dtype=bool) for start, end in frames]
        # [boxes of a frame, boxes of the next]: which follow which.
        self._links = [overlaps(a, b) >= LINK for a, b in zip(self._boxes, self._boxes[1:])]
        self._left = sum(int(np.count_nonzero(links)) for links in self._links)
        # Of the best path that ends at a box: its sum (-inf where the box is not free), and the
        # place of the box before.
        self._sums = [np.empty(0)] * len(frames)
        self._before = [np.empty(0, np.int64)] * len(frames)
        self._best = np.full(len(frames), -np.inf)      # the largest sum of each frame
        for t in range(len(frames)):
            self._extend(t)

    def take(self) -> Iterator[Tuple[Path, np.ndarray]]:
        """Take one path after the other; yield it with the rows that it suppresses."""
        while self._left and self._best.max() >= LEAST_SUM:
            last = int(np.argmax(self._best))
            places = [int(np.argmax(self._sums[last]))]
            total = float(self._sums[last][places[0]])
            for t in range(last, 0, -1):
                before = int(self._before[t][places[0]])
                if before < 0:
                    break
                places.insert(0, before)
            first = last - len(places) + 1
            yield Path(first, places, total), self._remove(first, places)

    def _remove(self, first, places):
        """Take a path out with all that it suppresses; returns the rows of the latter."""
        suppressed, changed, t = [], True, first
        # Sums change from the path's first frame on, and as long as those of the frame before have.
        while t < len(self._boxes) and (t < first + len(places) or changed):
            if t < first + len(places):
                place = places[t - first]
                near = overlaps(self._boxes[t][place:place + 1], self._boxes[t])[0] >= SUPPRESS
                near &= self._free[t]
                near[place] = False
                suppressed.append(self._offsets[t] + np.flatnonzero(near))
                near[place] = True
                self._cut(t, near)
            changed = self._extend(t)
            t += 1
        return np.concatenate(suppressed)

    def _cut(self, t, gone):
        """Take the boxes `gone` of frame t out, with their links."""
        self._free[t][gone] = False
        if t + 1 < len(self._boxes):
            self._left -= int(np.count_nonzero(self._links[t][gone]))
            self._links[t][gone] = False
        if t:
            self._left -= int(np.count_nonzero(self._links[t - 1][:, gone]))
            self._links[t - 1][:, gone] = False

    def _extend(self, t):
        """Compute the best sums of frame t anew; returns whether one is another."""
        sums, before = self._scores[t].copy(), np.full(len(self._scores[t]), -1, np.int64)
        if t and len(sums) and len(self._sums[t - 1]):
            reached = np.where(self._links[t - 1], self._sums[t - 1][:, None], -np.inf)
            best = reached.argmax(axis=0)
            values = reached[best, np.arange(len(sums))]
            linked = values > -np.inf
            sums[linked] += values[linked]
            before[linked] = best[linked]
        sums[~self._free[t]] = -np.inf
        changed = not np.array_equal(sums, self._sums[t])
        self._sums[t], self._before[t] = sums, before
        self._best[t] = sums.max() if len(sums) else -np.inf
        return changed
