"""How well ids of tracks stay with their objects: MOTA, ID switches, fragments (CLEAR MOT, Bernardin and Stiefelhagen
2008) and IDF1 (Ristani et al. 2016, arXiv 1609.01775). Classes are matched each for itself, and counts added up.
"""
from dataclasses import dataclass, field
from typing import Any, Dict, List, Sequence

import numpy as np

from dff.boxes import overlaps
from dff.errors import DataError
from lib.evaluation.assignment import best_assignment
from lib.evaluation.tracks_file import Tracks
from lib.evaluation.vid_eval import GroundTruth

LEAST = 0.5     # IoU from which a box may be an object


@dataclass
class Counts:
    """What is counted, of one class or of all."""

    objects: int = 0          # ground-truth boxes
    found: int = 0            # boxes of tracks
    matches: int = 0
    switches: int = 0         # an object is matched by another id than the last time
    fragments: int = 0        # an object is lost and found again
    same: int = 0             # boxes matched by the one id that an object is given for the whole set

    @property
    def mota(self) -> float:
        """1 - (misses + false boxes + switches) / objects; nan without objects."""
        wrong = self.objects + self.found - 2 * self.matches + self.switches
        return 1 - wrong / self.objects if self.objects else float('nan')

    @property
    def idf1(self) -> float:
        """Boxes of the right id: harmonic mean of their shares in objects and in tracks; nan without either."""
        total = self.objects + self.found
        return 2 * self.same / total if total else float('nan')

    def add(self, other: 'Counts') -> None:
        """Add the counts of `other`."""
        for name in vars(other):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def as_dict(self) -> Dict[str, Any]:
        """Return plain values for JSON."""
        return dict(vars(self), mota=self.mota, idf1=self.idf1)


@dataclass
class TrackResult:
    """What an evaluation of tracks found."""

    total: Counts = field(default_factory=Counts)
    classes: Dict[str, Counts] = field(default_factory=dict)     # those with objects or tracks
    ignored: int = 0                                             # boxes in frames that are not evaluated

    def lines(self) -> List[str]:
        """Return the report: a line a class, then all."""
        lines = [_line('tracks of ' + name, counts) for name, counts in self.classes.items()]
        if self.ignored:
            lines.append('%d boxes of tracks are of frames that are not evaluated' % self.ignored)
        return lines + [_line('tracks of all classes', self.total)]

    def as_dict(self) -> Dict[str, Any]:
        """Return plain values for JSON."""
        return dict(self.total.as_dict(), ignored=self.ignored,
                    classes={name: counts.as_dict() for name, counts in self.classes.items()})


def _line(title, counts):
    return '%s: IDF1 = %.4f, MOTA = %.4f, %d ID switches, %d fragments (%d boxes, %d annotated)' % (
        title, counts.idf1, counts.mota, counts.switches, counts.fragments, counts.found, counts.objects)


def evaluate_tracks(truth: GroundTruth, tracks: Tracks, classes: Sequence[str]) -> TrackResult:
    """Evaluate tracks.

    Args:
        truth: annotations with track ids; a box without one is an object of its own.
        tracks: what was found.
        classes: names, background first.

    Raises DataError where the annotations have no ids.
    """
    if truth.tracks is None or not (truth.tracks >= 0).any():
        raise DataError('the annotations have no track ids (<trackid>) to compare the tracks with')
    owners = np.repeat(truth.frames, np.diff(truth.offsets))
    objects = truth.tracks.copy()
    unknown = objects < 0
    objects[unknown] = objects.max() + 1 + np.arange(unknown.sum())
    listed = np.isin(tracks.frames, truth.frames)
    result = TrackResult(ignored=int((~listed).sum()))
    for label in range(1, len(classes)):
        own, found = truth.classes == label, listed & (tracks.classes == label)
        if own.any() or found.any():
            counts = _evaluate_class(owners[own], objects[own], truth.boxes[own],
                                     tracks.frames[found], tracks.ids[found], tracks.boxes[found])
            result.classes[classes[label]] = counts
            result.total.add(counts)
    return result


def _evaluate_class(frames, objects, boxes, found_frames, ids, found_boxes):
    """The Counts of one class; arrays of its ground truth, then of its tracks."""
    counts = Counts(objects=len(frames), found=len(found_frames))
    last: Dict[int, int] = {}           # object -> the id that matched it last
    seen: Dict[int, bool] = {}          # object -> whether it was matched in its latest frame
    together: Dict[Any, int] = {}       # (object, id) -> frames in which they overlap enough
    order, found_order = np.argsort(frames, kind='stable'), np.argsort(found_frames, kind='stable')
    for frame in np.unique(frames):
        here = order[slice(*np.searchsorted(frames[order], [frame, frame + 1]))]
        there = found_order[slice(*np.searchsorted(found_frames[found_order], [frame, frame + 1]))]
        shared = overlaps(boxes[here], found_boxes[there])
        shared[shared < LEAST] = 0
        names, numbers = objects[here].tolist(), ids[there].tolist()
        for row, column in np.argwhere(shared).tolist():
            pair = names[row], numbers[column]
            together[pair] = together.get(pair, 0) + 1
        matched = {}
        for row, column in _frame_matches(shared, names, numbers, last):
            matched[names[row]] = numbers[column]
        for name in names:
            if name in matched:
                counts.matches += 1
                counts.switches += last.get(name, matched[name]) != matched[name]
                counts.fragments += name in last and not seen[name]
                last[name] = matched[name]
            seen[name] = name in matched
    counts.same = _largest_agreement(together)
    return counts


def _frame_matches(shared, names, numbers, last):
    """[(row, column)] of a frame: who was matched last and still overlaps stays, the others are assigned."""
    pairs, columns = [], {number: column for column, number in enumerate(numbers)}
    shared = shared.copy()
    for row, name in enumerate(names):
        column = columns.get(last.get(name))
        if column is not None and shared[row, column] > 0:
            pairs.append((row, column))
            shared[row], shared[:, column] = 0, 0
    return pairs + list(zip(*(each.tolist() for each in best_assignment(shared))))


def _largest_agreement(together):
    """Frames in which objects have their ids, with one id for each object: the largest sum of {(object, id): frames}.

    Objects and ids that never meet belong to groups of their own, one clip's at most.
    """
    group: Dict[Any, Any] = {}

    def root(node):
        while group.setdefault(node, node) != node:
            node = group[node]
        return node
    for name, number in together:
        group[root(('object', name))] = root(('id', number))
    parts: Dict[Any, List[Any]] = {}
    for pair in together:
        parts.setdefault(root(('object', pair[0])), []).append(pair)
    total = 0
    for pairs in parts.values():
        names, rows = np.unique([name for name, _ in pairs], return_inverse=True)
        numbers, columns = np.unique([number for _, number in pairs], return_inverse=True)
        gain = np.zeros((len(names), len(numbers)))
        gain[rows, columns] = [together[pair] for pair in pairs]
        total += int(gain[best_assignment(gain)].sum())
    return total
