#include "nms.h"

#include "cpu.h"

namespace dff {
namespace {

const size_t kGroup = 16;

// Whether one of `count` kept boxes (a multiple of kGroup) overlaps `box` by more than `threshold`.
DFF_CLONES bool any_overlaps(const Box& box, float threshold, size_t count, const float* x1, const float* y1,
                             const float* x2, const float* y2, const float* area) {
  const float box_area = area_of(box);
  for (size_t start = 0; start < count; start += kGroup) {
    int hits = 0;
#pragma omp simd reduction(+ : hits)
    for (size_t i = start; i < start + kGroup; ++i) {
      const Box kept = {x1[i], y1[i], x2[i], y2[i]};
      hits += overlap_of(kept, area[i], box, box_area) > threshold ? 1 : 0;
    }
    if (hits) return true;
  }
  return false;
}

}  // namespace

bool KeptBoxes::offer(const Box& box, float threshold) {
  const size_t padded = (count_ + kGroup - 1) / kGroup * kGroup;
  if (any_overlaps(box, threshold, padded, x1_.data(), y1_.data(), x2_.data(), y2_.data(), area_.data())) return false;
  if (count_ == padded) {  // the next group: boxes far away with an area of 1
    const float far = 1e30f;
    x1_.resize(padded + kGroup);
    y1_.resize(padded + kGroup);
    x2_.resize(padded + kGroup);
    y2_.resize(padded + kGroup);
    area_.resize(padded + kGroup);
    for (size_t i = padded; i < padded + kGroup; ++i) {
      x1_[i] = y1_[i] = far;
      x2_[i] = y2_[i] = -far;
      area_[i] = 1.0f;
    }
  }
  x1_[count_] = box.x1;
  y1_[count_] = box.y1;
  x2_[count_] = box.x2;
  y2_[count_] = box.y2;
  area_[count_] = area_of(box);
  ++count_;
  return true;
}

}  // namespace dff
