// Post-processing of one frame on the CPU; what is computed is in dff/boxes.py.
#pragma once

extern "C" {

// rois [count, 4], scores [count, classes] (column 0 is the background), deltas [count, delta_columns] (8: class-agnostic,
// else 4 * classes), im_info: height, width, scale -> detections [capacity, 6]: class, score, x1, y1, x2, y2.
// capacity must be count * (classes - 1), or `limit` if that is positive and less.  Returns the number of rows written.
int dff_frame_detections(int count, int classes, int delta_columns, const float* rois, const float* scores,
                         const float* deltas, const float* im_info, float score_threshold, float nms_threshold, int limit,
                         float* detections);
}
