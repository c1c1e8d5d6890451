// Greedy non-maximum suppression on the CPU: candidates come best first and are compared with the boxes kept so far.
#pragma once
#include <stddef.h>

#include <vector>

#include "box.h"

namespace dff {

class KeptBoxes {
 public:
  void clear() { count_ = 0; }

  // Keeps `box` and returns true, unless its overlap with a kept box is greater than `threshold` (not negative).
  bool offer(const Box& box, float threshold);

 private:
  // One array a coordinate, so that several kept boxes are compared at a time; filled up with boxes that overlap nothing.
  std::vector<float> x1_, y1_, x2_, y2_, area_;
  size_t count_ = 0;
};

}  // namespace dff
