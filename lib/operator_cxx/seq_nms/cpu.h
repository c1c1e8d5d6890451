// Seq-NMS of one class of a clip, and the ordinary NMS of its frames; what is computed is in dff/tracking/seq_nms.py.
#pragma once

extern "C" {

// Frame t has the boxes offsets[t] to offsets[t + 1] - 1 of boxes [n, 4] and scores [n], all finite.
// highest: every box of a path gets the largest of their scores, else the mean. Writes new_scores [n], and
// stays [n]: 0 for a box that is suppressed. Returns the number of paths; -1 where memory is lacking.
int dff_seq_nms(int frames, const int* offsets, const float* boxes, const double* scores, double link,
                double suppress, double least_sum, int highest, double* new_scores, unsigned char* stays);

// Writes the indices that NMS keeps of each frame, frame by frame, by falling score; `kept` has room for n.
// Returns how many; -1 where memory is lacking.
int dff_nms_of_frames(int frames, const int* offsets, const float* boxes, const double* scores, float threshold,
                      int* kept);
}
