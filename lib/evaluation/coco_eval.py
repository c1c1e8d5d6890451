"""COCO's average precision, computed by pycocotools: the mean over IoU thresholds 0.5, 0.55, ...,
0.95.
"""
import contextlib
import io
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from lib.evaluation.detections import Detections, read_detections
from lib.evaluation.vid_eval import GroundTruth
from dff.packages import importing

MAX_DETECTIONS = 100     # of a class in a frame, COCO's own limit


def coco_ap(truth: GroundTruth, detections_file: str, classes: Sequence[str],
            numbers: Optional[Tuple[int, int]] = None) -> Dict[str, Any]:
    """Return the average precision by COCO's rules, over all sizes of objects.

    Boxes become x1, y1, x2 - x1 + 1, y2 - y1 + 1, so that IoU is that of vid_eval. One class is
    done after the other, because pycocotools needs about 1 kB a detection.

    Args:
        truth: the annotations.
        detections_file: path of the detections.
        classes: names, background first.
        numbers: (first, last) restricts the evaluation to frames with these numbers.

    Returns:
        {'AP', 'AP50', 'AP75': means over the classes, nan where none has ground truth,
        'classes': {name: AP, None without ground truth}}.

    Raises:
        DataError: as of read_detections.
        SetupError: pycocotools is not installed.
    """
    _import()      # before the reading, which may take a minute
    found = read_detections(detections_file, len(classes))
    owners = np.repeat(truth.frames, np.diff(truth.offsets))
    frames = truth.frames
    if numbers is not None:
        frames = frames[(frames >= numbers[0]) & (frames <= numbers[1])]
    selected = np.isin(owners, frames)
    precisions: Dict[str, Optional[np.ndarray]] = {}
    for c in range(1, len(classes)):
        own = selected & (truth.classes == c)
        precisions[classes[c]] = _class_precision(owners[own], truth.boxes[own], _best(found[c], frames))
        found[c] = None
    counted = [precision for precision in precisions.values() if precision is not None]
    means = np.mean(counted, axis=(0, 2)) if counted else np.full(10, np.nan)
    by_class = {name: None if one is None else float(one.mean()) for name, one in precisions.items()}
    return {'AP': float(means.mean()), 'AP50': float(means[0]), 'AP75': float(means[5]), 'classes': by_class}


def _import() -> Tuple[Any, Any]:
    with importing('pycocotools', 'COCO-style AP needs', 'python -m pip install -r requirements-coco.txt'):
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    return COCO, COCOeval


def _best(found, frames):
    """The MAX_DETECTIONS best of some Detections in every frame that is evaluated."""
    rows = np.flatnonzero(np.isin(found.frames, frames))
    rows = rows[np.lexsort((-found.scores[rows], found.frames[rows]))]
    ordered = found.frames[rows]
    rows = rows[np.arange(len(rows)) - np.searchsorted(ordered, ordered) < MAX_DETECTIONS]
    return Detections(*(column[rows] for column in found))


def _class_precision(truth_frames: np.ndarray, truth_boxes: np.ndarray,
                     best: Detections) -> Optional[np.ndarray]:
    """Precision of one class, [10 thresholds, 101 recalls]; None without ground truth."""
    if not len(truth_frames):
        return None
    coco, coco_eval = _import()
    numbers = np.union1d(truth_frames, best.frames).tolist()
    with contextlib.redirect_stdout(io.StringIO()):      # it prints its progress
        truth, found = coco(), coco()
        for api, owners, corners, confidence in ((truth, truth_frames, truth_boxes, None),
                                                 (found, best.frames, best.boxes, best.scores)):
            api.dataset = {'images': [{'id': number} for number in numbers], 'categories': [{'id': 1}],
                           'annotations': _annotations(owners, corners, confidence)}
            api.createIndex()
        evaluation = coco_eval(truth, found, 'bbox')
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ['all']
        evaluation.params.maxDets = [MAX_DETECTIONS]
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval['precision'][:, :, 0, 0, 0]


def _annotations(frames: np.ndarray, boxes: np.ndarray,
                 scores: Optional[np.ndarray]) -> List[Dict[str, Any]]:
    sides = np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2] + 1])
    # pycocotools takes an id of 0 for none.
    rows = [{'id': i, 'image_id': frame, 'category_id': 1, 'bbox': box, 'area': box[2] * box[3], 'iscrowd': 0}
            for i, (frame, box) in enumerate(zip(frames.tolist(), sides.tolist()), 1)]
    if scores is not None:
        for row, score in zip(rows, scores.tolist()):
            row['score'] = score
    return rows
