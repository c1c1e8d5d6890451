"""Mean average precision as ImageNet VID measures it.

A detection matches a ground-truth box of its class and frame that no detection of a higher score
has, if their IoU (pixel-inclusive corners) reaches min(0.5, w h / ((w + 10) (h + 10))): small boxes
may be off by a few pixels. Of several such boxes it takes the one of largest IoU. AP is the area
under the monotone envelope of the precision-recall curve.

A class without ground truth has no AP and is left out of the mean. One exception is kept so that
figures agree with the original's: where such a class has no detection either, its AP is 0 and
counts.

By speed of the objects (Zhu et al., ICCV 2017, arXiv 1703.10025, section 5): ground truths of the
other speeds, and the detections that match them, are left out; a detection that matches nothing
counts as false for every speed. (The code released with that paper gives such detections a weight
below 1 by the objects around them; its figures by speed are therefore higher.)
"""
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from lib.evaluation import vid_match
from lib.evaluation.detections import map_detections, require_common_frames
from lib.evaluation.motion import NO_MOTION, RANGES, SPEEDS
from dff.errors import DataError


@dataclass
class GroundTruth:
    """The annotations to compare with; frame i owns rows offsets[i]:offsets[i + 1] of boxes and
    classes.
    """

    frames: np.ndarray    # int [n]: frame numbers, all different
    offsets: np.ndarray   # int [n + 1]
    boxes: np.ndarray     # float64 [m, 4]: x1 y1 x2 y2, inclusive
    classes: np.ndarray   # int [m], from 1
    speeds: Optional[np.ndarray] = None   # int8 [m] as of lib.evaluation.motion.speeds; None where that is not known
    tracks: Optional[np.ndarray] = None   # int64 [m], the object of each box in the set, -1 where that is not known


@dataclass
class SpeedResult:
    """AP over the objects of one speed."""

    ap: Dict[str, Optional[float]]    # by class; None where it has no object of this speed
    ground_truths: int                # boxes

    @property
    def mean_ap(self) -> Optional[float]:
        """The mean over classes with such objects; None where there is none."""
        values = [ap for ap in self.ap.values() if ap is not None]
        return float(np.mean(values)) if values else None


@dataclass
class Result:
    """What an evaluation found, by class name in the order of the class list."""

    ap: Dict[str, Optional[float]] = field(default_factory=dict)     # None for a class without AP
    ground_truths: Dict[str, int] = field(default_factory=dict)      # boxes
    detections: Dict[str, int] = field(default_factory=dict)         # in the frames evaluated
    frames: int = 0                                                  # evaluated
    ignored: int = 0                                                 # detections in other frames
    ranks: Dict[str, np.ndarray] = field(default_factory=dict)       # places of the hits by falling score, from 1
    speeds: Dict[str, SpeedResult] = field(default_factory=dict)     # by name of SPEEDS; empty without track ids
    coco: Optional[Dict[str, Any]] = None                            # of coco_eval.coco_ap, where asked for

    @property
    def mean_ap(self) -> float:
        """The mean over classes with an AP; nan where there is none."""
        return float(np.mean([ap for ap in self.ap.values() if ap is not None]))

    def lines(self) -> List[str]:
        """Return the report: a line a class, then the mean."""
        lines = ['AP for %s = %.4f' % (name, np.nan if ap is None else ap) for name, ap in self.ap.items()]
        for note, counted in (('left out of the mean, having detections', False),
                              ('counted as 0, having no detections', True)):
            names = [name for name, ap in self.ap.items()
                     if not self.ground_truths[name] and (ap is not None) == counted]
            if names:
                lines.append('no ground truth, %s: %s' % (note, ', '.join(names)))
        if self.ignored:
            lines.append('%d detections are of frames that are not evaluated' % self.ignored)
        lines += self._speed_lines()
        if self.coco:
            lines.append('COCO AP@[.5:.95] = %(AP).4f, AP@.5 = %(AP50).4f, AP@.75 = %(AP75).4f' % self.coco)
        return lines + ['Mean AP@0.5 = %.4f' % self.mean_ap]

    def _speed_lines(self) -> List[str]:
        if not self.speeds:
            return ['no AP by speed: ' + NO_MOTION]
        return ['Mean AP@0.5 of %s objects = %s (motion IoU %s, %d boxes)'
                % (name, 'none' if of.mean_ap is None else '%.4f' % of.mean_ap, RANGES[name], of.ground_truths)
                for name, of in self.speeds.items()]

    def as_dict(self) -> Dict[str, Any]:
        """Return the result as plain values for JSON."""
        values: Dict[str, Any] = {
            'mean_ap': self.mean_ap, 'ap': self.ap, 'ground_truths': self.ground_truths,
            'detections': self.detections, 'frames': self.frames, 'ignored_detections': self.ignored}
        if self.speeds:
            values['speeds'] = {name: {'mean_ap': of.mean_ap, 'ap': of.ap, 'ground_truths': of.ground_truths}
                                for name, of in self.speeds.items()}
        if self.coco:
            values['coco'] = self.coco
        return values


def evaluate(truth: GroundTruth, detections_file: str, classes: Sequence[str],
             numbers: Optional[Tuple[int, int]] = None) -> Result:
    """Evaluate a detections file. It is streamed: 12 bytes of memory a detection.

    Args:
        truth: the annotations to compare with.
        detections_file: its path.
        classes: names, background first.
        numbers: (first, last) restricts the evaluation to frames with these numbers.

    Raises:
        DataError: the file is missing or malformed, no ground truth is there to compare with, or all detections
            are of frames of another image set.
    """
    owners = np.repeat(np.arange(len(truth.frames)), np.diff(truth.offsets))
    selected = np.ones(len(truth.frames), bool)
    if numbers is not None:
        selected = (truth.frames >= numbers[0]) & (truth.frames <= numbers[1])
    boxes = np.flatnonzero(selected[owners])
    if not len(boxes):
        raise DataError('nothing to evaluate: no box of a listed class in the %d frames%s'
                        % (selected.sum(), '' if numbers is None else ' numbered %d to %d' % numbers))
    labels = truth.classes[boxes]
    speeds = None if truth.speeds is None else truth.speeds[boxes]
    index = vid_match.TruthIndex(truth.frames[selected], truth.frames[owners[boxes]], truth.boxes[boxes], labels,
                                 len(classes))
    shares: List[List[vid_match.Share]] = [[] for _ in classes]
    result = Result(frames=int(selected.sum()))
    for parts, ignored in map_detections(detections_file, len(classes), index.shares):
        result.ignored += ignored
        for c, share in enumerate(parts):
            if share is not None:
                shares[c].append(share)
    if numbers is None:
        found = any(len(share.scores) for own in shares for share in own)
        require_common_frames(detections_file, result.ignored, found, truth.frames)
    if speeds is not None:
        result.speeds = {name: SpeedResult({}, int((speeds == s).sum())) for s, name in enumerate(SPEEDS)}
    for c in range(1, len(classes)):
        own = labels == c
        _add_class(result, classes[c], shares[c], own, speeds)
        shares[c] = []     # a file can hold tens of millions
    return result


def _add_class(result: Result, name: str, shares: List[vid_match.Share], own: np.ndarray,
               speeds: Optional[np.ndarray]) -> None:
    """Put the figures of one class into `result`.

    own: bool, which ground truths are of the class; speeds: of all ground truths, or None.
    """
    count, positives = sum(len(share.scores) for share in shares), int(own.sum())
    ranks = truths = np.empty(0, np.int64)
    if shares:
        hits = vid_match.match(vid_match.join_pairs(shares))
        ranks, truths = vid_match.ranks(hits, shares), hits.truth
    result.ranks[name], result.ground_truths[name], result.detections[name] = ranks, positives, count
    if positives:
        result.ap[name] = average_precision(ranks, positives)
    else:
        result.ap[name] = None if count else 0.0
    if speeds is None:
        return
    for s, of in enumerate(result.speeds.values()):
        others = speeds[truths] != s
        wanted = int((own & (speeds == s)).sum())
        of.ap[name] = average_precision((ranks - np.cumsum(others))[~others], wanted) if wanted else None


def average_precision(ranks: np.ndarray, positives: int) -> float:
    """Return the area under the precision envelope.

    ranks: int [h], places of the hits among the detections by falling score, from 1, ascending;
    positives: ground-truth boxes, at least 1.
    """
    precision = np.arange(1.0, len(ranks) + 1) / ranks
    return float(np.maximum.accumulate(precision[::-1]).sum() / positives)
