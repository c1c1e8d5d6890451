"""Ids for detections: which boxes of a clip are the same object.

Matching is by overlap, class by class, confident detections first, then weak ones, which may only
carry a track on (cf. ByteTrack, arXiv 2110.06864). A box is looked for where the straight line of its
track goes on; where nothing is there, at the box of the frame before, or by the flow that the networks
compute anyway: within an interval every box is moved along it to its key frame, and compared there
with those of all frames of the interval. The larger of these two overlaps counts. At a new key frame
boxes jump, by what the flow missed since the one before; what found nothing there looks around.

Detectors give one object two boxes at times, which NMS leaves where they share little. So a box that
covers a part of one that has a track already is proven before it is a track of its own: it is followed,
frame by frame, by what other tracks leave over; and a weak one carries no track on.
"""
from typing import List, NamedTuple, Optional

import numpy as np

from dff.boxes import covered_shares, overlaps
from dff.tracking.motion import Courses, continued, predicted


class TrackRules(NamedTuple):
    """When a detection joins a track, and when it starts one."""

    high: float = 0.5           # scores from here are matched first
    low: float = 0.1            # scores from here are matched then
    start: float = 0.6          # a detection without a track starts one from this score
    always: float = float('inf')    # and from this one it has an id even before its track is proven
    overlap: float = 0.2        # lowest IoU with where its track leads, of confident detections
    low_overlap: float = 0.3    # of weak ones, and with where the track was or flows
    memory: int = 30            # frames for which a track is kept without a detection
    double: float = 0.2         # part of the smaller of two boxes, from which they may be one object's
    proven: int = 3             # frames in a row in which such a box is found again


def rules_for(thresh: float) -> TrackRules:
    """Return the TrackRules with which every detection of score `thresh` or more has an id."""
    rules = TrackRules()
    start = min(rules.start, thresh)
    return rules._replace(start=start, low=min(rules.low, start), always=thresh)


class _Tracks(NamedTuple):
    """Columns of all tracks alive, a row each."""

    ids: np.ndarray        # int64 [t]
    classes: np.ndarray    # int64 [t]
    last: np.ndarray       # float64 [t, 4]: the latest box, in its own frame
    anchors: np.ndarray    # float64 [t, 4]: the latest box, in the key frame of this interval
    unseen: np.ndarray     # int64 [t]: frames since the latest box
    proven: np.ndarray     # bool [t]: surely no second box of another track's object
    places: np.ndarray     # the columns of Courses
    speeds: np.ndarray
    seen: np.ndarray

    @property
    def courses(self) -> Courses:
        return Courses(self.places, self.speeds, self.seen)

    def chosen(self, rows: np.ndarray) -> '_Tracks':
        return _Tracks(*(column[rows] for column in self))


def _begun(ids, labels, boxes, moved, proven):
    """The _Tracks that begin with detections."""
    return _Tracks(ids, labels, boxes, moved, np.zeros(len(ids), np.int64), proven, boxes,
                   np.zeros((len(ids), 2)), np.ones(len(ids), np.int64))


def _no_tracks():
    none = np.empty(0, np.int64)
    return _begun(none, none, np.empty((0, 4)), np.empty((0, 4)), np.empty(0, bool))


class Tracker:
    """Gives ids to the detections of one clip, frame by frame; ids are 1, 2, ... and never used again.

    Args:
        rules: TrackRules.
    """

    def __init__(self, rules: TrackRules = TrackRules()):    # noqa: B008  (it is immutable)
        self._rules, self._tracks, self._next = rules, _no_tracks(), 1
        self._began = True      # the frame before was the first of its interval

    def restart(self) -> None:
        """Forget all tracks: what comes next is of another clip. Ids go on counting."""
        self._tracks, self._began = _no_tracks(), True

    def rebase(self) -> None:
        """Take the frame before for the key frame: what comes next is compared with the boxes there."""
        self._tracks = self._tracks._replace(anchors=self._tracks.last.copy())

    def update(self, detections: np.ndarray, displacement: Optional[np.ndarray] = None,
               begins: bool = True) -> np.ndarray:
        """Return the ids of a frame's detections, int64 [n]; 0: too weak to start a track, or maybe a
        second box of an object.

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
        self._tracks = self._tracks._replace(unseen=self._tracks.unseen + 1)
        led = overlaps(boxes, predicted(self._tracks.courses, self._tracks.unseen))
        shared = overlaps(boxes, self._tracks.last)
        if not here:
            shared = np.fmax(shared, overlaps(moved, self._tracks.anchors))
        # Of a new key frame boxes jump by what the flow missed since the one before.
        jumped = np.zeros(shared.shape)
        if begins and not self._began:
            jumped = overlaps(grown(boxes), grown(self._tracks.last))
            jumped[:, self._tracks.unseen > 1] = 0
        self._began = begins
        owner = self._match(labels, scores, boxes, (led, shared, jumped))
        return self._begin(labels, scores, boxes, moved, owner, self._follow(owner, boxes, moved, scores))

    def _match(self, labels, scores, boxes, found):
        """The row of the track of every detection, int64 [n], -1 for none.

        found: overlaps, each [n, tracks], with where tracks lead, with where they were or flow, and,
        of boxes that may have jumped, with what is around there.
        """
        tracks, rules = self._tracks, self._rules
        owner, free = np.full(len(labels), -1), labels[:, None] == tracks.classes
        confident, proven = scores >= rules.high, tracks.proven

        def match(rows, columns, least, *more):
            for overlap, lowest in ((found[0], least), (found[1], rules.low_overlap), *more):
                allowed = free & rows[:, None] & columns
                for row, track in best_pairs(np.where(allowed, overlap, 0), lowest):
                    owner[row] = track
                    free[row], free[:, track] = False, False
        match(confident, proven, rules.overlap, (found[2], rules.overlap))
        weak = ~confident & (scores >= rules.low)
        weak[weak] = ~self._doubles(labels, boxes, np.flatnonzero(weak), np.flatnonzero(owner >= 0))
        match(weak, proven, rules.low_overlap)
        match(scores >= min(rules.high, rules.start), ~proven, rules.overlap)
        return owner

    def _doubles(self, labels, boxes, rows, taken):
        """Which detections `rows` may be second boxes of the objects of the detections `taken`: bool."""
        near = covered_shares(boxes[rows], boxes[taken]) >= self._rules.double
        return (near & (labels[rows][:, None] == labels[taken])).any(axis=1)

    def _follow(self, owner, boxes, moved, scores):
        """Take the matched boxes over, drop tracks that were unseen for too long; the ids of all, int64 [n]."""
        tracks, rules, found = self._tracks, self._rules, np.flatnonzero(owner >= 0)
        own = owner[found]
        courses = continued(Courses(*(column[own] for column in tracks.courses)), boxes[found],
                            tracks.unseen[own])
        for column, values in zip(tracks.courses, courses):
            column[own] = values
        tracks.last[own], tracks.anchors[own], tracks.unseen[own] = boxes[found], moved[found], 0
        tracks.proven[own] |= tracks.seen[own] > rules.proven
        ids = np.zeros(len(owner), np.int64)
        ids[found] = np.where(tracks.proven[own] | (scores[found] >= rules.always), tracks.ids[own], 0)
        self._tracks = tracks.chosen(tracks.unseen <= np.where(tracks.proven, rules.memory, 0))
        return ids

    def _begin(self, labels, scores, boxes, moved, owner, ids):
        """`ids` with those of new tracks."""
        fresh = np.flatnonzero((owner < 0) & (scores >= self._rules.start))
        fresh = fresh[np.argsort(-scores[fresh], kind='stable')]
        double = self._doubles(labels, boxes, fresh, np.flatnonzero(owner >= 0))
        for place in range(1, len(fresh)):
            double[place] |= self._doubles(labels, boxes, fresh[place:place + 1], fresh[:place])[0]
        numbers = self._next + np.argsort(np.argsort(fresh))      # in the order of detections
        self._next += len(fresh)
        ids[fresh] = np.where(~double | (scores[fresh] >= self._rules.always), numbers, 0)
        new = _begun(numbers, labels[fresh], boxes[fresh], moved[fresh], ~double)
        self._tracks = _Tracks(*(np.concatenate(pair) for pair in zip(self._tracks, new)))
        return ids


def grown(boxes: np.ndarray) -> np.ndarray:
    """Return boxes, float64 [n, 4], of three times the sides about the same centres."""
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    return boxes + np.hstack([-sides, sides])


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
