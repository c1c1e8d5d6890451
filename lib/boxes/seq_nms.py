"""Seq-NMS by the settings: dff.tracking with the native kernels (lib/operator_cxx/seq_nms), where they are built."""
import ctypes
import sys
from typing import Iterator, Tuple, Union

import numpy as np

from dff.tracking import clip_boxes
from dff.tracking import seq_nms as plain
from dff.tracking.clip_boxes import ClipBoxes, SavedBoxes, Selection
from dff.tracking.whole_clip import WholeClip
from lib.operator_cxx import loader


def seq_nms(offsets: np.ndarray, boxes: np.ndarray, scores: np.ndarray,
            rescore: str = 'avg') -> Tuple[np.ndarray, np.ndarray]:
    """Return which boxes of one class of a clip stay, and their new scores.

    They are those of dff.tracking.seq_nms.seq_nms.

    offsets, boxes, scores, rescore: as there; boxes and scores must be finite. Raises MemoryError.
    """
    library = loader.c_library()
    if not library:
        return plain.seq_nms(offsets, boxes, scores, rescore)
    offsets, boxes, scores = _checked(offsets, boxes, scores)
    new, stays = np.empty(len(scores)), np.empty(len(scores), np.uint8)
    _done(library.dff_seq_nms(
        len(offsets) - 1, _at(offsets), _at(boxes), _at(scores), ctypes.c_double(plain.LINK),
        ctypes.c_double(plain.SUPPRESS), ctypes.c_double(plain.LEAST_SUM), int(rescore == 'max'),
        _at(new), _at(stays)))
    keep = np.flatnonzero(stays)
    return keep, new[keep]


def nms_of_frames(offsets: np.ndarray, boxes: np.ndarray, scores: np.ndarray,
                  thresh: float) -> np.ndarray:
    """Return the indices that NMS keeps in each frame, as dff.tracking.seq_nms.nms_of_frames.

    offsets, boxes, scores, thresh: as there; boxes and scores must be finite. Raises MemoryError.
    """
    library = loader.c_library()
    if not library:
        return plain.nms_of_frames(offsets, boxes, scores, thresh)
    offsets, boxes, scores = _checked(offsets, boxes, scores)
    kept = np.empty(len(scores), np.int32)
    count = _done(library.dff_nms_of_frames(
        len(offsets) - 1, _at(offsets), _at(boxes), _at(scores), ctypes.c_float(thresh), _at(kept)))
    return kept[:count].astype(np.int64)


def select(boxes: Union[ClipBoxes, SavedBoxes], selection: Selection) -> Iterator[np.ndarray]:
    """Return dff.tracking.clip_boxes.select of `boxes` and `selection` by these kernels."""
    return clip_boxes.select(boxes, selection, sys.modules[__name__])


def selection_of(cfg, thresh):
    """Return the Selection by TEST of the settings; thresh: lowest score of a detection."""
    test = cfg.TEST
    rescore = test.SEQ_NMS_RESCORE if test.SEQ_NMS else None
    return Selection(rescore, test.NMS, test.max_per_image, thresh)


def whole_clip_of(cfg, thresh, folder=None):
    """Return the WholeClip by TEST of the settings `cfg`; thresh: lowest score of a detection, folder: as of
    ClipBoxes.
    """
    return WholeClip(selection_of(cfg, thresh), folder, select)


def _checked(offsets, boxes, scores):
    """The arrays as the kernels read them; ValueError where these would not stay within them."""
    offsets = np.ascontiguousarray(offsets, np.int32)
    boxes = np.ascontiguousarray(boxes, np.float32)
    scores = np.ascontiguousarray(scores, np.float64)
    count = len(boxes)
    if boxes.shape != (count, 4) or scores.shape != (count,):
        raise ValueError('seq_nms: boxes must be [n, 4] and scores [n], not %s and %s'
                         % (boxes.shape, scores.shape))
    if not np.isfinite(scores).all():
        raise ValueError('seq_nms: scores must be finite')
    if (offsets.ndim != 1 or not len(offsets) or offsets[0] != 0 or offsets[-1] != count
            or (offsets[1:] < offsets[:-1]).any()):
        raise ValueError('seq_nms: offsets must rise from 0 to %d, the number of boxes' % count)
    return offsets, boxes, scores


def _done(result):
    if result < 0:
        raise MemoryError('seq_nms: no memory for the links between the boxes of a class')
    return result


def _at(array):
    return array.ctypes.data_as(ctypes.c_void_p)
