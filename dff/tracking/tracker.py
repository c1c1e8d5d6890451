"""Ids for detections: which boxes of a clip are the same object.

Matching is by overlap, class by class, confident detections first, then weak ones, which may only
carry a track on (cf. ByteTrack, arXiv 2110.06864). There is no motion model beside the flow that
the networks compute anyway: within an interval every box is moved along it to its key frame, and
compared there with those of all frames of the interval. The flow of one frame may err, so what
counts is that overlap or the one with the box of the frame before, whichever is larger.
"""
from typing import List, NamedTuple, Optional

import numpy as np

from dff.boxes import overlaps


class TrackRules(NamedTuple):
    """When a detection joins a track, and when it starts one."""

    high: float = 0.25          # scores from here are matched first
    low: float = 0.1            # scores from here are matched then
    start: float = 0.25         # a detection without a track starts one from this score
    overlap: float = 0.5        # lowest IoU of the first matching
    low_overlap: float = 0.3    # and of the others: of what the first left, and of weak detections
    memory: int = 30            # frames for which a track is kept without a detection


def rules_for(thresh: float) -> TrackRules:
    """Return the TrackRules with which every detection of score `thresh` or more has an id."""
    rules = TrackRules()
    start = min(rules.start, thresh)
    return rules._replace(start=start, low=min(rules.low, start))


class _Tracks(NamedTuple):
    """Columns of all tracks alive, a row each."""

    ids: np.ndarray        # int64 [t]
    classes: np.ndarray    # int64 [t]
    last: np.ndarray       # float64 [t, 4]: the latest box, in its own frame
    anchors: np.ndarray    # float64 [t, 4]: the latest box, in the key frame of this interval
    unseen: np.ndarray     # int64 [t]: frames since the latest box


NO_TRACKS = _Tracks(np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, 4)),
                    np.empty((0, 4)), np.empty(0, np.int64))


class Tracker:
    """Gives ids to the detections of one clip, frame by frame; ids are 1, 2, ... and never used again.

    Args:
        rules: TrackRules.
    """

    def __init__(self, rules: TrackRules = TrackRules()):    # noqa: B008  (it is immutable)
        self._rules, self._tracks, self._next = rules, NO_TRACKS, 1

    def restart(self) -> None:
        """Forget all tracks: what comes next is of another clip. Ids go on counting."""
        self._tracks = NO_TRACKS

    def rebase(self) -> None:
        """Take the frame before for the key frame: what comes next is compared with the boxes there."""
        self._tracks = self._tracks._replace(anchors=self._tracks.last.copy())

    def update(self, detections: np.ndarray, displacement: Optional[np.ndarray] = None,
               begins: bool = True) -> np.ndarray:
        """Return the ids of a frame's detections, int64 [n]; 0: too weak to start a track.

        Args:
            detections: [n, 6]: class, score, x1, y1, x2, y2, inclusive corners.
            displacement: float [n, 2]: pixels, right and down, from each box to the place of its
                object in the key frame of the interval; None where that is not known, then boxes
                are compared with those of the frame before.
            begins: the frame is the first of an interval, whose key frame no track was moved to.
        """
        rows = np.asarray(detections, np.float64)
        labels, scores, boxes = rows[:, 0].astype(np.int64), rows[:, 1], rows[:, 2:6]
        moved = boxes
        if displacement is not None:
            moved = boxes + np.tile(np.asarray(displacement, np.float64), 2)
        # Into a new interval a track comes with its box of the frame before, moved nowhere yet.
        here = begins or displacement is None
        if here:
            self.rebase()
        shared = overlaps(boxes, self._tracks.last)
        if not here:
            shared = np.fmax(shared, overlaps(moved, self._tracks.anchors))
        owner = self._match(labels, scores, shared)
        ids = np.zeros(len(rows), np.int64)
        ids[owner >= 0] = self._tracks.ids[owner[owner >= 0]]
        self._follow(owner, boxes, moved)
        fresh = np.flatnonzero((owner < 0) & (scores >= self._rules.start))
        ids[fresh] = self._begin(labels[fresh], boxes[fresh], moved[fresh])
        return ids

    def _match(self, labels, scores, shared):
        """The row of the track of every detection, int64 [n], -1 for none; shared: overlaps, [n, tracks]."""
        tracks, rules = self._tracks, self._rules
        owner = np.full(len(labels), -1)
        shared[labels[:, None] != tracks.classes] = 0
        confident = scores >= rules.high
        weak = ~confident & (scores >= rules.low)
        for chosen, least in ((confident, rules.overlap), (confident, rules.low_overlap),
                              (weak, rules.low_overlap)):
            for row, track in best_pairs(np.where(chosen[:, None], shared, 0), least):
                owner[row] = track
                shared[row], shared[:, track] = 0, 0
        return owner

    def _follow(self, owner, boxes, moved):
        """Take the matched boxes over, and drop tracks that were unseen for too long."""
        tracks, found = self._tracks, np.flatnonzero(owner >= 0)
        tracks.unseen[:] += 1
        tracks.unseen[owner[found]] = 0
        tracks.last[owner[found]], tracks.anchors[owner[found]] = boxes[found], moved[found]
        alive = tracks.unseen <= self._rules.memory
        self._tracks = _Tracks(*(column[alive] for column in tracks))

    def _begin(self, labels, boxes, moved):
        """The ids of new tracks."""
        ids = np.arange(self._next, self._next + len(labels))
        self._next += len(labels)
        new = _Tracks(ids, labels, boxes, moved, np.zeros(len(labels), np.int64))
        self._tracks = _Tracks(*(np.concatenate(pair) for pair in zip(self._tracks, new)))
        return ids


def best_pairs(shared: np.ndarray, least: float) -> List[List[int]]:
    """Return [[row, column], ...] of a matrix of overlaps, the largest first, each row and column once.

    shared: float64 [n, t]; least: pairs of less are none.
    """
    pairs, rows, columns = [], set(), set()
    candidates = np.argwhere(shared >= max(least, 1e-9))
    order = np.argsort(-shared[tuple(candidates.T)], kind='stable')
    for row, column in candidates[order].tolist():
        if row not in rows and column not in columns:
            rows.add(row)
            columns.add(column)
            pairs.append([row, column])
    return pairs
