// Where one pixel of the warped map reads from: code that the CPU and the CUDA kernel share.
#pragma once
#include "../common/platform.h"

namespace dff {

struct WarpShape {
  int feature_images;  // 1 or `images`: one feature map may serve every flow field
  int images, channels, height, width;
};

const int kWarpChannels = 8;  // that one thread of the GPU takes

// The two neighbours along one axis: index (clamped into the map), weight and slope of the weight (both 0 outside).
struct AxisTap {
  int index[2];
  float weight[2], slope[2];
};

// The four neighbours, in the order (y0, x0), (y0, x1), (y1, x0), (y1, x1).
struct WarpTap {
  int offset[4];                       // within a plane of height * width
  float weight[4];                     // bilinear weights
  float slope_x[4], slope_y[4];        // their derivatives with respect to the flow
};

// Neighbours of `position` on an axis of `size` cells.  Everything outside reads as 0; a NaN position gives NaN weights.
DFF_SHARED AxisTap axis_tap(float position, int size) {
  AxisTap tap;
  const float below = floorf(position), fraction = position - below;
  for (int k = 0; k < 2; ++k) {
    const float cell = below + static_cast<float>(k);
    const bool inside = cell >= 0.0f && cell <= static_cast<float>(size - 1);
    tap.index[k] = inside ? static_cast<int>(cell) : 0;
    tap.weight[k] = inside ? (k == 0 ? 1.0f - fraction : fraction) : (position == position ? 0.0f : position);
    tap.slope[k] = inside ? (k == 0 ? -1.0f : 1.0f) : (position == position ? 0.0f : position);
  }
  return tap;
}

DFF_SHARED WarpTap warp_tap(int x, int y, float flow_x, float flow_y, int height, int width) {
  const AxisTap h = axis_tap(static_cast<float>(x) + flow_x, width);
  const AxisTap v = axis_tap(static_cast<float>(y) + flow_y, height);
  WarpTap tap;
  for (int k = 0; k < 4; ++k) {
    tap.offset[k] = v.index[k / 2] * width + h.index[k % 2];
    tap.weight[k] = v.weight[k / 2] * h.weight[k % 2];
    tap.slope_x[k] = v.weight[k / 2] * h.slope[k % 2];
    tap.slope_y[k] = v.slope[k / 2] * h.weight[k % 2];
  }
  return tap;
}

// A NaN position has no neighbours that a gradient could go to.
DFF_SHARED bool reads_map(const WarpTap& tap) { return tap.weight[0] == tap.weight[0]; }

}  // namespace dff
