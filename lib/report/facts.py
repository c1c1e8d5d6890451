"""What a report of a test is made of: all figures, before a word of HTML."""
from typing import Any, List, NamedTuple, Optional, Sequence

import numpy as np

from dff.errors import DataError
from lib.dataset.formats.records import Clip
from lib.evaluation.error_costs import Costs, error_costs
from lib.evaluation.groups import (Part, by_frames, by_size, by_speed, clip_names, clip_of_frames,
                                   read_cameras)
from lib.evaluation.outcomes import CLASS, HIT, Outcomes, outcomes
from lib.evaluation.vid_eval import GroundTruth


class Chosen(NamedTuple):
    """What a user sees who draws detections from `score` on."""

    score: float
    found: np.ndarray       # bool [m]: ground truths hit by one of that score
    wrong: np.ndarray       # int [frames]: detections of that score that hit nothing
    missed: np.ndarray      # int [frames]: ground truths without a hit
    # int [classes, classes], true by named; row 0: detections on no object of their own, column 0: missed
    confusion: np.ndarray


class Facts(NamedTuple):
    """Everything that a report shows."""

    classes: List[str]             # background first
    truth: GroundTruth
    clips: List[Clip]
    names: List[str]               # of the clips
    clip_of: np.ndarray            # int [frames]: places in clips
    outcomes: Outcomes
    costs: Costs
    sizes: List[Part]
    speeds: List[Part]
    by_clip: List[Part]
    by_camera: List[Part]          # empty where no cameras are named
    chosen: Chosen

    @property
    def mean_ap(self) -> float:
        """The mean AP over the classes that have ground truth."""
        return self.costs.mean(self.costs.ap)


def gather(dataset: Any, detections_file: str, score: Optional[float] = None,
           cameras: Optional[str] = None) -> Facts:
    """Return the Facts of a test.

    Args:
        dataset: with classes, clips() and ground_truth(), as ImageNetVID.
        detections_file: its path.
        score: from which detections count in what is no AP; None: the one of the best F1.
        cameras: file of groups.read_cameras; None: no figures by camera.

    Raises DataError.
    """
    if not hasattr(dataset, 'ground_truth'):
        raise DataError('the data set %s hands out no ground truth to compare with' % type(dataset).__name__)
    truth, clips = dataset.ground_truth(), dataset.clips()
    clip_of = clip_of_frames(clips, truth.frames)
    camera_names, camera_of = read_cameras(cameras, clips) if cameras else ([], np.zeros(0, int))
    found = outcomes(truth, detections_file, dataset.classes)
    return Facts(
        list(dataset.classes), truth, clips, clip_names(clips), clip_of, found,
        error_costs(found, truth.classes), by_size(found, truth), by_speed(found, truth),
        by_frames(found, truth, clip_names(clips), clip_of),
        by_frames(found, truth, camera_names, camera_of[clip_of]) if cameras else [],
        choose(found, truth, best_score(found, truth) if score is None else score))


def best_score(found: Outcomes, truth: GroundTruth) -> float:
    """Return the score from which on detections have the best F1, 2 hits / (detections + objects),
    of all classes together; 0 where there is no hit.
    """
    runs = []      # by class: (score, detections that have it, hits among them), few where scores have four digits
    for own in found.classes:
        last = _last_of_equal(own.scores)
        runs.append((own.scores[last], np.diff(last, prepend=-1),
                     np.diff(np.cumsum(own.kinds == HIT)[last], prepend=0)))
    scores, counts, hits = (np.concatenate(column) for column in zip(*runs))
    order = np.argsort(-scores, kind='stable')
    scores, counts, hits = scores[order], np.cumsum(counts[order]), np.cumsum(hits[order])
    if not len(hits) or not hits[-1]:
        return 0.0
    last = _last_of_equal(scores)
    return float(scores[last[np.argmax(2 * hits[last] / (counts[last] + len(truth.boxes)))]])


def _last_of_equal(scores):
    """Places of falling `scores` behind which a lower one comes, or none."""
    return np.flatnonzero(np.diff(scores, append=-np.inf) < 0)


def choose(found: Outcomes, truth: GroundTruth, score: float) -> Chosen:
    """Return what comes of the detections `found` of at least `score`; truth: what there was to find."""
    frames, count = len(truth.frames), len(found.classes)
    hit, wrong = np.zeros(len(truth.boxes), bool), np.zeros(frames, np.int64)
    confusion = np.zeros((count, count), np.int64)
    parts: List[Sequence[np.ndarray]] = []
    for c, own in enumerate(found.classes):
        n = int(np.searchsorted(-own.scores, -score, 'right'))
        kinds, rows = own.kinds[:n], own.truth[:n]
        hit[rows[kinds == HIT]] = True
        wrong += np.bincount(own.frames[:n][kinds != HIT], minlength=frames)
        confusion[0, c] = (kinds != HIT).sum()
        mixed = kinds == CLASS
        parts.append((own.scores[:n][mixed], rows[mixed], np.full(int(mixed.sum()), c)))
    scores, rows, named = (np.concatenate(column) for column in zip(*parts))
    np.add.at(confusion, (truth.classes[hit], truth.classes[hit]), 1)
    # One name for an object that none of its own class found: that of the best score.
    best = np.argsort(-scores, kind='stable')
    best = best[~hit[rows[best]]]
    objects, first = np.unique(rows[best], return_index=True)
    named = named[best[first]]
    np.add.at(confusion, (truth.classes[objects], named), 1)
    np.subtract.at(confusion, (0, named), 1)
    confusion[1:, 0] = np.bincount(truth.classes, minlength=count)[1:] - confusion[1:, 1:].sum(axis=1)
    owners = np.repeat(np.arange(frames), np.diff(truth.offsets))
    return Chosen(score, hit, wrong, np.bincount(owners[~hit], minlength=frames), confusion)
