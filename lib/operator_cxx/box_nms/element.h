// One region of interest to a box in the original image.
#pragma once
#include "../common/box.h"

namespace dff {

struct Detection {  // a row of the result
  float label, score;
  Box box;
};
static_assert(sizeof(Detection) == 6 * sizeof(float), "a detection is six numbers");

// Sets of boxes a region: one for all classes (from columns 4 to 8), or one a class. With one class both are the same columns.
DFF_SHARED int box_sets(int classes, int delta_columns) { return delta_columns == 8 ? 1 : classes - 1; }

// In double until the end, so that every exp rounds to the same float.
DFF_SHARED Box decode_detection(const float* roi, const float* delta, const float* im_info) {
  float low[2], high[2];
  for (int axis = 0; axis < 2; ++axis) {
    const double size = static_cast<double>(roi[axis + 2]) - roi[axis] + 1.0;
    const double centre = roi[axis] + 0.5 * (size - 1.0);
    const double new_centre = static_cast<double>(delta[axis]) * size + centre;
    const double half = 0.5 * (exp(static_cast<double>(delta[axis + 2])) * size - 1.0);
    const double last = static_cast<double>(im_info[1 - axis]) - 1.0, scale = im_info[2];
    double first_edge = last < new_centre - half ? last : new_centre - half;
    double last_edge = last < new_centre + half ? last : new_centre + half;
    first_edge = first_edge < 0.0 ? 0.0 : first_edge;
    last_edge = last_edge < 0.0 ? 0.0 : last_edge;
    low[axis] = static_cast<float>(first_edge / scale);
    high[axis] = static_cast<float>(last_edge / scale);
  }
  const Box box = {low[0], low[1], high[0], high[1]};
  return box;
}

DFF_SHARED bool is_detection(float score, float threshold, const Box& box) {
  return score > threshold && score - score == 0.0f && is_finite(box);
}

}  // namespace dff
