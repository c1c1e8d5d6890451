"""Detections of a frame that the networks saw in several passes: mirrored, at several sizes."""
from typing import Sequence, Tuple

import numpy as np

from dff.boxes import best_of_frame, boxes_before_nms
from dff.frames import Shown
from lib.boxes.seq_nms import nms_of_frames


def merged_boxes(values: Sequence[Tuple[np.ndarray, np.ndarray, np.ndarray]], shown: Shown,
                 score_thresh: float) -> np.ndarray:
    """Return the boxes of all passes from which NMS would choose, in pixels of the frame: float32 [n, 6].

    Args:
        values: (rois, cls_prob, bbox_pred) of each pass, as of dff.boxes.boxes_before_nms, whose
            columns and order come back, with its errors.
        shown: the frame.
        score_thresh: a box has a greater score.
    """
    parts, last = [], shown.image.shape[1] - 1.0
    for outputs, one, frame in zip(values, shown.passes, shown.frames):
        found = boxes_before_nms(*outputs, frame.im_info, score_thresh)
        if one.mirrored:       # where padding was added, a box may end beyond the frame
            found[:, [2, 4]] = np.maximum(last - found[:, [4, 2]], 0)
        parts.append(found)
    merged = np.concatenate(parts)
    return merged[np.argsort(merged[:, 0], kind='stable')]


def nms_of_boxes(boxes: np.ndarray, nms_thresh: float, max_per_image: int) -> np.ndarray:
    """Return the detections among boxes of one frame, ordered as those of dff.boxes.frame_detections.

    Args:
        boxes: float32 [n, 6] of `merged_boxes`.
        nms_thresh, max_per_image: as of dff.boxes.frame_detections.
    """
    if not len(boxes):
        return boxes
    # Classes do not touch each other, as frames do not.
    offsets = np.searchsorted(boxes[:, 0], np.arange(int(boxes[-1, 0]) + 2))
    keep = nms_of_frames(offsets, boxes[:, 2:6], boxes[:, 1].astype(np.float64), nms_thresh)
    return best_of_frame(boxes[keep], max_per_image)
