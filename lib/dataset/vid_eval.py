"""Mean average precision as ImageNet VID measures it.

A detection matches a ground-truth box of its class and frame that no detection of a higher score has, if their IoU
(pixel-inclusive corners) reaches min(0.5, w h / ((w + 10) (h + 10))): small boxes may be off by a few pixels. Of several
such boxes it takes the one of largest IoU. AP is the area under the monotone envelope of the precision-recall curve.

A class without ground truth has no AP and is left out of the mean. One exception is kept so that figures agree with the
original's: where such a class has no detection either, its AP is 0 and counts.
"""
from dataclasses import dataclass
from typing import Dict, Optional

import numpy as np

from lib.dataset.detections import read_detections
from lib.utils.errors import DataError

TOLERANCE = 10.0               # pixels


@dataclass
class GroundTruth:
    """The annotations to compare with; frame i owns rows offsets[i]:offsets[i + 1] of boxes and classes."""

    frames: np.ndarray    # int [n]: frame numbers, all different
    offsets: np.ndarray   # int [n + 1]
    boxes: np.ndarray     # float64 [m, 4]: x1 y1 x2 y2, inclusive
    classes: np.ndarray   # int [m], from 1


@dataclass
class Result:
    """What an evaluation found, by class name in the order of the class list."""

    ap: Dict[str, Optional[float]]    # None for a class without AP
    ground_truths: Dict[str, int]     # boxes
    detections: Dict[str, int]        # in the frames evaluated
    frames: int                       # evaluated
    ignored: int                      # detections in other frames

    @property
    def mean_ap(self):
        """The mean over classes with an AP."""
        return float(np.mean([ap for ap in self.ap.values() if ap is not None]))

    def lines(self):
        """The report: a line a class, then the mean."""
        lines = ['AP for %s = %.4f' % (name, np.nan if ap is None else ap) for name, ap in self.ap.items()]
        for note, counted in (('left out of the mean, having detections', False), ('counted as 0, having no detections', True)):
            names = [name for name, ap in self.ap.items() if not self.ground_truths[name] and (ap is not None) == counted]
            if names:
                lines.append('no ground truth, %s: %s' % (note, ', '.join(names)))
        if self.ignored:
            lines.append('%d detections are of frames that are not evaluated' % self.ignored)
        return lines + ['Mean AP@0.5 = %.4f' % self.mean_ap]

    def as_dict(self):
        """The result as plain values for JSON."""
        return {'mean_ap': self.mean_ap, 'ap': self.ap, 'ground_truths': self.ground_truths, 'detections': self.detections,
                'frames': self.frames, 'ignored_detections': self.ignored}


def evaluate(truth, detections_file, classes, numbers=None):
    """Evaluate a detections file. Returns a Result.

    classes: names, background first. numbers: (first, last) restricts the evaluation to frames with these numbers.
    Raises DataError where the file is missing or malformed, or no ground truth is there to compare with.
    """
    first, last = numbers or (None, None)
    owners = np.repeat(np.arange(len(truth.frames)), np.diff(truth.offsets))
    selected = np.ones(len(truth.frames), bool) if numbers is None else (truth.frames >= first) & (truth.frames <= last)
    box_frames = truth.frames[owners]
    if not selected[owners].any():
        raise DataError('nothing to evaluate: no box of a listed class in the %d frames%s'
                        % (selected.sum(), '' if numbers is None else ' numbered %d to %d' % numbers))
    frames = np.sort(truth.frames[selected])
    detections = read_detections(detections_file, len(classes))
    result = Result({}, {}, {}, len(frames), 0)
    for c in range(1, len(classes)):
        own = (truth.classes == c) & selected[owners]
        found = detections[c]
        inside = _contains(frames, found.frames)
        result.ignored += int(len(inside) - inside.sum())
        scores, hits = match(box_frames[own], truth.boxes[own], found.frames[inside], found.scores[inside], found.boxes[inside])
        result.ap[classes[c]] = average_precision(hits, int(own.sum()))
        result.ground_truths[classes[c]], result.detections[classes[c]] = int(own.sum()), len(scores)
        detections[c] = None   # a file can hold tens of millions
    return result


def _contains(ordered, values):
    """bool [n]: which `values` are in `ordered`, ascending."""
    places = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    return ordered[places] == values


def match(truth_frames, truth_boxes, frames, scores, boxes):
    """Which detections of one class hit a ground truth: (scores, hits), by falling score.

    Ties go by frame number, then by the given order, so that the order of frames in the file changes nothing.

    truth_frames [g], truth_boxes [g, 4], frames [d], scores [d], boxes [d, 4].

    Frames do not touch each other, so every round settles, in all frames at once, the best detection that still has a
    free ground truth in reach; a round uses up one ground truth in each, so there are as many rounds as a frame has boxes.
    """
    order = np.lexsort((frames, -scores))
    hits = np.zeros(len(order), bool)
    by_frame = np.argsort(truth_frames, kind='stable')
    truth_frames, truth_boxes = truth_frames[by_frame], truth_boxes[by_frame]
    detection, truth, overlap = _pairs(truth_frames, truth_boxes, frames[order], boxes[order])
    taken = np.zeros(len(truth_frames), bool)
    while len(detection):
        _, leaders = np.unique(truth_frames[truth], return_index=True)
        leading = np.zeros(len(hits), bool)
        leading[detection[leaders]] = True
        rows = np.flatnonzero(leading[detection])
        best = rows[np.lexsort((-overlap[rows], detection[rows]))]
        best = best[np.unique(detection[best], return_index=True)[1]]
        hits[detection[best]] = True
        taken[truth[best]] = True
        alive = ~taken[truth] & ~leading[detection]
        detection, truth, overlap = detection[alive], truth[alive], overlap[alive]
    return scores[order], hits


def _pairs(truth_frames, truth_boxes, frames, boxes):
    """(detection, truth, IoU) of every pair in one frame whose IoU is enough, by detection, then by truth."""
    start = np.searchsorted(truth_frames, frames, 'left')
    count = np.searchsorted(truth_frames, frames, 'right') - start
    detection = np.repeat(np.arange(len(frames)), count)
    truth = np.arange(len(detection)) - np.repeat(np.cumsum(count) - count, count) + np.repeat(start, count)
    a, b = boxes[detection], truth_boxes[truth]
    width = np.minimum(a[:, 2], b[:, 2]) - np.maximum(a[:, 0], b[:, 0]) + 1
    height = np.minimum(a[:, 3], b[:, 3]) - np.maximum(a[:, 1], b[:, 1]) + 1
    near = np.flatnonzero((width > 0) & (height > 0))
    a, b, inner = a[near], b[near], width[near] * height[near]
    side_x, side_y = b[:, 2] - b[:, 0] + 1, b[:, 3] - b[:, 1] + 1
    overlap = inner / ((a[:, 2] - a[:, 0] + 1) * (a[:, 3] - a[:, 1] + 1) + side_x * side_y - inner)
    enough = overlap >= np.minimum(0.5, side_x * side_y / ((side_x + TOLERANCE) * (side_y + TOLERANCE)))
    return detection[near][enough], truth[near][enough], overlap[enough]


def average_precision(hits, positives):
    """Area under the precision envelope; None where there are detections, but nothing to find.

    hits: bool [n] by falling score; positives: ground-truth boxes.
    """
    if positives == 0:
        return None if len(hits) else 0.0
    true = np.cumsum(hits)
    recall = np.concatenate([[0.0], true / float(positives), [1.0]])
    precision = np.concatenate([[0.0], true / np.arange(1.0, len(hits) + 1), [0.0]])
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall) * precision[1:]))
