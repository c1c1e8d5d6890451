"""The native kernel for dff.boxes.frame_detections (lib/operator_cxx/box_nms), where it is built."""
import ctypes

import numpy as np

from dff import boxes
from lib.operator_cxx import loader


def frame_detections(rois, cls_prob, bbox_pred, im_info, score_thresh, nms_thresh,
                     max_per_image=300):
    """Return the detections of one frame, float32 [n, 6], as dff.boxes.frame_detections defines
    them.

    Args:
        rois, cls_prob, bbox_pred, im_info, score_thresh, nms_thresh, max_per_image: as there, with
            its errors.
    """
    library = loader.c_library()
    if not library:
        return boxes.frame_detections(rois, cls_prob, bbox_pred, im_info, score_thresh, nms_thresh, max_per_image)
    rois, cls_prob, bbox_pred, im_info = boxes.checked_outputs(rois, cls_prob, bbox_pred, im_info)
    count, classes = cls_prob.shape
    capacity = count * (classes - 1)
    detections = np.empty((min(capacity, max_per_image) if max_per_image > 0 else capacity, 6), dtype=np.float32)
    pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (rois, cls_prob, bbox_pred, im_info)]
    found = library.dff_frame_detections(
        count, classes, bbox_pred.shape[1], *pointers, ctypes.c_float(score_thresh), ctypes.c_float(nms_thresh),
        int(max_per_image), detections.ctypes.data_as(ctypes.c_void_p))
    return detections[:found]
