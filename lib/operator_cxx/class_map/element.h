// Where a row or column of the image lies in the map: code that the CPU and the CUDA kernel share.
#pragma once
#include "../common/platform.h"

namespace dff {

struct ClassMapShape {
  int classes, height, width;  // of the map of scores
  int rows, columns;           // of the image
};

// The cells on both sides of a place on an axis of `size` cells, and how far it lies from the first to the second.
struct Between {
  int low, high;
  float part;
};

DFF_SHARED Between between_cells(float place, int size) {
  const float last = static_cast<float>(size - 1);
  const float inside = !(place > 0.0f) ? 0.0f : (place < last ? place : last);  // NaN: the first cell
  Between b;
  b.low = max_int(0, min_int(static_cast<int>(inside), size - 2));
  b.high = min_int(b.low + 1, size - 1);
  b.part = inside - static_cast<float>(b.low);
  return b;
}

const float kLowest = -3.4028234e38f;  // a score must be above it to be chosen, which NaN is not

DFF_SHARED float mixed(float low, float high, float part) { return low + part * (high - low); }

}  // namespace dff
