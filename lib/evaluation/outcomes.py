"""What became of every detection of a file: a hit, or which kind of error.

The kinds are those of TIDE (Bolya et al., ECCV 2020, arXiv 2008.08115, section 2.2), with the IoU
that this evaluation asks for (lib/evaluation/vid_eval.py) as the upper bound and 0.1 as the lower:

- class: on an object of another class.
- place: of its object's class, with too small an IoU, but at least 0.1.
- both: too small an IoU with an object of another class, and the like.
- double: on an object of its class that a better detection has.
- background: on nothing.
- missed: an object that no detection hits, nor one with an error of class or place.

Where several fit, the order is: place, class, double, background, both.
"""
from typing import Any, List, NamedTuple, Sequence, Tuple

import numpy as np

from dff.errors import DataError
from lib.evaluation import vid_match
from lib.evaluation.detections import Detections, by_class, map_detections, require_common_frames
from lib.evaluation.vid_eval import GroundTruth

KINDS = ('hit', 'class', 'place', 'both', 'double', 'background')
HIT, CLASS, PLACE, BOTH, DOUBLE, BACKGROUND = range(len(KINDS))
NEAR = 0.1        # IoU below which a detection has nothing to do with an object
_ENOUGH = 2.0     # added to an IoU that is enough: such come first, and are known


class ClassOutcome(NamedTuple):
    """Detections of one class, by falling score; ties as vid_match.match has them."""

    scores: np.ndarray    # float64 [n]
    frames: np.ndarray    # int32 [n]: places in GroundTruth.frames
    boxes: np.ndarray     # float32 [n, 4]: x1 y1 x2 y2
    kinds: np.ndarray     # int8 [n]: places in KINDS
    truth: np.ndarray     # int32 [n]: row of the ground truth that a hit, or an error of class or place, is of; else -1


class Outcomes(NamedTuple):
    """All detections of a file."""

    classes: List[ClassOutcome]   # by class index from 1; index 0 is empty
    found: np.ndarray             # bool [m]: which ground truths are hit
    missed: np.ndarray            # bool [m]: which are missed
    ignored: int                  # detections of frames that are not evaluated


def outcomes(truth: GroundTruth, detections_file: str, classes: Sequence[str]) -> Outcomes:
    """Return what became of every detection. Needs about 70 bytes of memory a detection.

    Args:
        truth: the annotations to compare with.
        detections_file: its path.
        classes: names, background first.

    Raises:
        DataError: the file is missing or malformed, there is no ground truth, or all detections are of frames of
            another image set.
    """
    if not len(truth.boxes):
        raise DataError('nothing to evaluate: no box of a listed class in the %d frames' % len(truth.frames))
    owners = np.repeat(np.arange(len(truth.frames)), np.diff(truth.offsets))
    index = vid_match.TruthIndex(truth.frames, truth.frames[owners], truth.boxes, truth.classes, len(classes))
    nearest = _Nearest(truth)
    shares: List[List[Any]] = [[] for _ in classes]
    columns: List[List[Any]] = [[] for _ in classes]
    ignored = 0

    def work(block: Detections) -> Any:
        return index.shares(block), nearest.columns(block, len(classes))
    for (parts, outside), own in map_detections(detections_file, len(classes), work):
        ignored += outside
        for c in range(1, len(classes)):
            if len(parts[c].scores):
                shares[c].append(parts[c])
                columns[c].append(own[c])
    require_common_frames(detections_file, ignored, any(shares), truth.frames)
    result = [_settled([], [])]
    for c in range(1, len(classes)):
        result.append(_settled(shares[c], columns[c]))
        shares[c], columns[c] = [], []      # frees them before the next class is joined
    found, near = np.zeros(len(truth.boxes), bool), np.zeros(len(truth.boxes), bool)
    for outcome in result:
        found[outcome.truth[outcome.kinds == HIT]] = True
        near[outcome.truth[outcome.truth >= 0]] = True
    return Outcomes(result, found, ~near, ignored)


class _Nearest:
    """Finds the ground truths that detections overlap most, of their class and of others."""

    def __init__(self, truth: GroundTruth) -> None:
        self._truth = truth
        self._order = np.argsort(truth.frames, kind='stable')
        self._numbers = truth.frames[self._order]

    def columns(self, block: Detections, num_classes: int) -> List[Tuple[np.ndarray, ...]]:
        """(boxes, frame's place, kind, its row) of the detections of each class, as TruthIndex.shares
        orders them; the kinds are those that they have if they are no hits.
        """
        spot = np.minimum(np.searchsorted(self._numbers, block.frames), len(self._numbers) - 1)
        inside = self._numbers[spot] == block.frames
        classes, boxes, places = block.classes[inside], block.boxes[inside], self._order[spot[inside]]
        table = (boxes.astype(np.float32), places.astype(np.int32), *self._kinds(classes, boxes, places))
        order, bounds = by_class(classes, num_classes)
        return [tuple(column[order[bounds[c]:bounds[c + 1]]] for column in table) for c in range(num_classes)]

    def _kinds(self, classes, boxes, places):
        truth = self._truth
        start, count = truth.offsets[places], truth.offsets[places + 1] - truth.offsets[places]
        detection = np.repeat(np.arange(len(boxes)), count)
        rows = np.arange(len(detection)) - np.repeat(np.cumsum(count) - count - start, count)
        overlap, enough = vid_match.overlaps_enough(boxes[detection], truth.boxes[rows])
        keys = (overlap + _ENOUGH * enough).astype(np.float32)
        same = truth.classes[rows] == classes[detection]
        (own, own_row), (other, other_row) = (
            _largest(detection[chosen], keys[chosen], rows[chosen], len(boxes)) for chosen in (same, ~same))
        kinds = np.select([(own < _ENOUGH) & (own >= NEAR), other >= _ENOUGH, own >= _ENOUGH, other >= NEAR],
                          [PLACE, CLASS, DOUBLE, BOTH], BACKGROUND).astype(np.int8)
        return kinds, np.select([kinds == PLACE, kinds == CLASS], [own_row, other_row], -1).astype(np.int32)


def _largest(detection, keys, rows, count):
    """(key [count], its row [count]) of the largest key of each detection; 0 and -1 where it has none."""
    best_key, best_row = np.zeros(count, np.float32), np.full(count, -1, np.int32)
    order = np.lexsort((-keys, detection))
    first = order[np.diff(detection[order], prepend=-1) != 0]
    best_key[detection[first]], best_row[detection[first]] = keys[first], rows[first]
    return best_key, best_row


def _settled(shares: List[vid_match.Share], columns: List[Tuple[np.ndarray, ...]]) -> ClassOutcome:
    """The ClassOutcome of one class from what all blocks hold of it."""
    if not shares:
        return ClassOutcome(np.empty(0), np.empty(0, np.int32), np.empty((0, 4), np.float32),
                            np.empty(0, np.int8), np.empty(0, np.int32))
    hits = vid_match.match(vid_match.join_pairs(shares))
    scores = np.concatenate([share.scores for share in shares])
    numbers = np.concatenate([share.frames for share in shares])
    boxes, frames, kinds, truth = (np.concatenate(parts) for parts in zip(*columns))
    kinds[hits.detection], truth[hits.detection] = HIT, hits.truth
    order = np.lexsort((numbers, -scores))      # stable: then by the order in the file
    return ClassOutcome(scores[order], frames[order], boxes[order], kinds[order], truth[order])
