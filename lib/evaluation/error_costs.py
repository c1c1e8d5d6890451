"""What each kind of error costs: the AP that would be gained if that kind alone were mended.

After TIDE (Bolya et al., ECCV 2020, arXiv 2008.08115, section 2.3). An error of class or place is
mended into a hit where its object has none; of several with one object the best becomes the hit, and
all others go. An error of both, a double and one of background go. Missed objects are counted off.
Besides, all wrong detections are taken away (false), or all objects without a hit (unfound). The
gains do not add up: a detection that is mended lifts others, too.
"""
from typing import Dict, List, NamedTuple, Optional

import numpy as np

from lib.evaluation.outcomes import BACKGROUND, BOTH, CLASS, DOUBLE, HIT, PLACE, Outcomes
from lib.evaluation.vid_eval import average_precision

# In the order of a report.
COSTS = {
    'class': 'on an object, but of another class',
    'place': 'on an object of its class, but too far off (IoU at least 0.1)',
    'both': 'off the mark, and of another class',
    'double': 'on an object that a better detection has',
    'background': 'on nothing (IoU below 0.1)',
    'missed': 'an object with no detection on or near it',
    'false': 'all wrong detections together',
    'unfound': 'all objects without a hit together',
}
_GONE = {'both': BOTH, 'double': DOUBLE, 'background': BACKGROUND}


class Costs(NamedTuple):
    """AP, and what would be gained, by class index from 1; None for a class without ground truth."""

    ap: List[Optional[float]]
    gains: Dict[str, List[Optional[float]]]     # by name of COSTS

    def mean(self, values: List[Optional[float]]) -> float:
        """Return the mean of `values` over the classes that have one; 0 where there is none."""
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if known else 0.0


def ap_of(scores: np.ndarray, hits: np.ndarray, positives: int) -> float:
    """Return the average precision, as vid_eval.average_precision.

    Args:
        scores: float64 [n], of the detections, in any order; of equal ones the earlier counts first.
        hits: bool [n].
        positives: ground truths; where there is none, all were found: 1.
    """
    if positives < 1:
        return 1.0
    ordered = hits[np.argsort(-scores, kind='stable')]
    return average_precision(np.flatnonzero(ordered) + 1, positives)


def error_costs(found: Outcomes, classes: np.ndarray) -> Costs:
    """Return the Costs of what was found; classes: int [m], of the ground truths."""
    count = len(found.classes)
    positives = np.bincount(classes, minlength=count)
    missed = np.bincount(classes[found.missed], minlength=count)
    gained = _mended_classes(found, classes, count)
    costs = Costs([None], {name: [None] for name in COSTS})
    for c in range(1, count):
        own, wanted = found.classes[c], int(positives[c])
        if not wanted:
            for values in (costs.ap, *costs.gains.values()):
                values.append(None)
            continue
        hits = own.kinds == HIT
        fixed = {name: ap_of(own.scores[own.kinds != kind], hits[own.kinds != kind], wanted)
                 for name, kind in _GONE.items()}
        fixed['class'] = _with(own.scores[own.kinds != CLASS], hits[own.kinds != CLASS], gained[c], wanted)
        fixed['place'] = _with(own.scores[own.kinds != PLACE], hits[own.kinds != PLACE],
                               _winners(own.scores, own.truth, own.kinds == PLACE, found.found)[0], wanted)
        fixed['missed'] = ap_of(own.scores, hits, wanted - int(missed[c]))
        fixed['false'] = ap_of(own.scores[hits], hits[hits], wanted)
        fixed['unfound'] = ap_of(own.scores, hits, int(hits.sum()))
        ap = ap_of(own.scores, hits, wanted)
        costs.ap.append(ap)
        for name in COSTS:
            costs.gains[name].append(fixed[name] - ap)
    return costs


def _with(scores, hits, more, positives):
    """AP of detections with others, hits of the scores `more`, among them."""
    return ap_of(np.concatenate([scores, more]), np.concatenate([hits, np.ones(len(more), bool)]), positives)


def _winners(scores, truth, chosen, found):
    """(scores, rows of the ground truths) of those detections that would be hits: the best of the
    `chosen` on each ground truth that is not `found`.
    """
    chosen = np.flatnonzero(chosen)
    chosen = chosen[~found[truth[chosen]]]
    chosen = chosen[np.argsort(-scores[chosen], kind='stable')]
    rows, first = np.unique(truth[chosen], return_index=True)
    return scores[chosen[first]], rows


def _mended_classes(found: Outcomes, classes: np.ndarray, count: int) -> List[np.ndarray]:
    """By class: the scores of detections that would be its hits if they had named it."""
    chosen = [one.kinds == CLASS for one in found.classes]
    scores = np.concatenate([one.scores[own] for one, own in zip(found.classes, chosen)])
    truth = np.concatenate([one.truth[own] for one, own in zip(found.classes, chosen)])
    best, rows = _winners(scores, truth, np.ones(len(scores), bool), found.found)
    return [best[classes[rows] == c] for c in range(count)]
