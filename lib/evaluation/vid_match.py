"""Which detections hit a ground truth, found while the detections stream past.

Only pairs of a detection and a ground truth that overlap enough can become hits, and they are few.
Of all other detections the score and the frame number are kept, 12 bytes each: what it takes to say
how many come before a hit.
"""
from typing import List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from dff.boxes import paired_overlaps
from lib.evaluation.detections import Detections, by_class

TOLERANCE = 10.0               # pixels


class Pairs(NamedTuple):
    """Detections with ground truths of their frame and class that they overlap enough."""

    detection: np.ndarray   # int64 [p]: place of the detection among those of its class, in the order of the file
    frames: np.ndarray      # int32 [p]
    scores: np.ndarray      # float64 [p]
    truth: np.ndarray       # int64 [p]: row of the ground truth
    overlap: np.ndarray     # float64 [p]: IoU


class Share(NamedTuple):
    """What one block of detections holds of one class."""

    frames: np.ndarray      # int32 [n]
    scores: np.ndarray      # float64 [n]
    pairs: Pairs            # detection: from 0 in this share


class TruthIndex:
    """Finds the ground truths of a frame and class."""

    def __init__(self, frames: np.ndarray, box_frames: np.ndarray, boxes: np.ndarray,
                 classes: np.ndarray, num_classes: int) -> None:
        """Sort the ground truths.

        Args:
            frames: int [n], numbers of the frames that are evaluated, all different.
            box_frames: int [m], at least one, the frame number of each ground truth.
            boxes: float64 [m, 4], x1 y1 x2 y2 with inclusive corners.
            classes: int [m], from 1.
            num_classes: with the background.
        """
        self.frames, self.boxes, self.num_classes = np.sort(frames), boxes, num_classes
        codes = self._codes(box_frames, classes)
        self._rows = np.argsort(codes, kind='stable')
        self._keys, self._starts, self._counts = np.unique(codes[self._rows], return_index=True, return_counts=True)

    def _codes(self, frames: np.ndarray, classes: np.ndarray) -> np.ndarray:
        return frames.astype(np.int64) * self.num_classes + classes

    def shares(self, found: Detections) -> Tuple[List[Optional['Share']], int]:
        """Return (a Share for every class from 1, how many detections are of other frames) of a
        block of detections.

        The first item of the shares is None.
        """
        inside = _contains(self.frames, found.frames)
        ignored = len(inside) - int(inside.sum())
        frames, classes, scores, boxes = (column[inside] for column in found) if ignored else found
        order, bounds = by_class(classes, self.num_classes)
        detection, truth, overlap = self._pairs(frames, classes, boxes)
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        pair_order, pair_bounds = by_class(classes[detection], self.num_classes)
        detection, truth, overlap = detection[pair_order], truth[pair_order], overlap[pair_order]
        shares: List[Optional[Share]] = [None]
        for c in range(1, self.num_classes):
            rows, own = order[bounds[c]:bounds[c + 1]], slice(pair_bounds[c], pair_bounds[c + 1])
            d = detection[own]
            pairs = Pairs(place[d] - bounds[c], frames[d], scores[d], truth[own], overlap[own])
            shares.append(Share(frames[rows], scores[rows], pairs))
        return shares, ignored

    def _pairs(self, frames: np.ndarray, classes: np.ndarray, boxes: np.ndarray
               ) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(detection, truth, IoU) of every pair whose IoU is enough, by detection, then by truth."""
        codes = self._codes(frames, classes)
        place = np.minimum(np.searchsorted(self._keys, codes), len(self._keys) - 1)
        rows = np.flatnonzero(self._keys[place] == codes)
        start, count = self._starts[place[rows]], self._counts[place[rows]]
        detection = np.repeat(rows, count)
        truth = self._rows[np.arange(len(detection)) - np.repeat(np.cumsum(count) - count - start, count)]
        overlap, enough = overlaps_enough(boxes[detection], self.boxes[truth])
        return detection[enough], truth[enough], overlap[enough]


def _contains(ordered: np.ndarray, values: np.ndarray) -> np.ndarray:
    """bool [n]: which `values` are in `ordered`, ascending."""
    if not len(values):
        return np.zeros(0, bool)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(values)) + 1])      # equal neighbours are looked up once
    places = np.minimum(np.searchsorted(ordered, values[starts]), len(ordered) - 1)
    return np.repeat(ordered[places] == values[starts], np.diff(np.append(starts, len(values))))


def overlaps_enough(a: np.ndarray, b: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Return (IoU [n], whether it is enough for a hit) of boxes `a` with ground truths `b`, both [n, 4]."""
    overlap = paired_overlaps(a, b)
    side_x, side_y = b[:, 2] - b[:, 0] + 1, b[:, 3] - b[:, 1] + 1
    with np.errstate(invalid='ignore', divide='ignore'):          # of empty ground truths, which nothing overlaps
        wanted = np.minimum(0.5, side_x * side_y / ((side_x + TOLERANCE) * (side_y + TOLERANCE)))
    return overlap, (overlap > 0) & (overlap >= wanted)


def join_pairs(shares: Sequence[Share]) -> Pairs:
    """Return the Pairs of one class in all its shares, at least one, numbered through."""
    before = np.cumsum([0] + [len(share.scores) for share in shares[:-1]])
    joined = Pairs(*(np.concatenate(columns) for columns in zip(*(share.pairs for share in shares))))
    shift = np.repeat(before, [len(share.pairs.detection) for share in shares])
    return joined._replace(detection=joined.detection + shift)


def match(pairs: Pairs) -> Pairs:
    """Return the hits among the Pairs of one class, best detection first.

    Detections choose by falling score; ties go by frame number, then by their order in the file, so
    that the order of frames in the file changes nothing. Each takes the ground truth of largest IoU
    that no better one has.

    Frames do not touch each other, so every round settles, in all frames at once, the best
    detection that still has a free ground truth in reach; a round uses up one ground truth in
    each, so there are at most as many rounds as a frame has boxes.
    """
    order = np.lexsort((pairs.detection, pairs.frames, -pairs.scores))
    pairs = Pairs(*(column[order] for column in pairs))
    rank = np.cumsum(np.diff(pairs.detection, prepend=-1) != 0) - 1       # pairs of one detection stand together
    settled, taken = np.zeros(len(order), bool), np.zeros(pairs.truth.max(initial=-1) + 1, bool)
    left, hits = np.arange(len(order)), [np.empty(0, np.int64)]
    while len(left):
        _, leaders = np.unique(pairs.frames[left], return_index=True)
        settled[rank[left[leaders]]] = True
        rows = left[settled[rank[left]]]
        best = rows[np.lexsort((-pairs.overlap[rows], rank[rows]))]
        best = best[np.unique(rank[best], return_index=True)[1]]
        hits.append(best)
        taken[pairs.truth[best]] = True
        left = left[~settled[rank[left]] & ~taken[pairs.truth[left]]]
    rows = np.sort(np.concatenate(hits))
    return Pairs(*(column[rows] for column in pairs))


def ranks(hits: Pairs, shares: Sequence[Share]) -> np.ndarray:
    """Return the place of every hit among all detections of its class by falling score: int64 [h],
    from 1, ascending.

    hits: of `match`, whose rules for ties hold here too; shares: of the class, in the order of the
    file.
    """
    places, start = np.zeros(len(hits.scores) + 1, np.int64), 0
    scores = -hits.scores
    by_score, _ = _find(scores, scores)
    by_frame = _joined(by_score, hits.frames)
    by_order = _joined(_find(by_frame, by_frame)[0], hits.detection)
    for share in shares:
        # The first hit that does not come before the detection; where the score is a hit's, the frame
        # decides, then the order.
        place, same = _find(scores, -share.scores)
        if len(same):
            place[same], again = _find(by_frame, _joined(place[same], share.frames[same]))
            same = same[again]
            place[same], again = _find(by_order, _joined(place[same], start + same))
            place[same[again]] += 1           # the hit itself does not come before itself
        places += np.bincount(place, minlength=len(places))
        start += len(share.scores)
    return np.cumsum(places)[:-1] + 1


def _find(ordered: np.ndarray, values: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """(first place in `ordered` that is not below each value, the values that stand there)."""
    place = np.searchsorted(ordered, values)
    inside = np.minimum(place, max(len(ordered) - 1, 0))
    return place, np.flatnonzero(ordered[inside] == values) if len(ordered) else np.empty(0, np.int64)


def _joined(group: np.ndarray, number: np.ndarray) -> np.ndarray:
    """One number that orders by `group`, then by `number`, both below 2^31."""
    return group.astype(np.int64) << 31 | number
