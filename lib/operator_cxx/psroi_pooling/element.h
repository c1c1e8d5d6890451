// Which cells a bin of a region of interest covers: code that the CPU and the CUDA kernel share.
#pragma once
#include "../common/platform.h"

namespace dff {

struct PsroiShape {
  int images, height, width, rois;
  int output_dim, pooled, group;  // the input has output_dim * group * group channels
  float spatial_scale;

  DFF_SHARED int channels() const { return output_dim * group * group; }
};

struct CellRange {
  int begin, end;  // half-open, within the map
  DFF_SHARED int size() const { return end > begin ? end - begin : 0; }
};

// Cells of bin `bin` along one axis, for a region from `first` to `last` (inclusive, in image pixels).  Follows MXNet's
// PSROIPooling to the bit, rounding of the corners included, so every step is one float operation.
DFF_SHARED CellRange bin_range(float first, float last, int bin, int pooled, float spatial_scale, int cells) {
  const float begin = roundf(first) * spatial_scale;
  const float end = (roundf(last) + 1.0f) * spatial_scale;
  const float extent = end - begin < 0.1f ? 0.1f : end - begin;
  const float step = extent / static_cast<float>(pooled);
  CellRange range;
  range.begin = clamp_to_int(floorf(static_cast<float>(bin) * step + begin), cells);
  range.end = clamp_to_int(ceilf(static_cast<float>(bin + 1) * step + begin), cells);
  return range;
}

// The row or column of the position-sensitive grid that a bin reads.
DFF_SHARED int group_of_bin(int bin, int pooled, int group) { return min_int(bin * group / pooled, group - 1); }

// The image of a region, or -1 where there is none such: the region then pools to 0.
DFF_SHARED int image_of_roi(const float* roi, int images) {
  return roi[0] > -1.0f && roi[0] < static_cast<float>(images) ? static_cast<int>(roi[0]) : -1;
}

}  // namespace dff
