// Boxes, as the CPU and the CUDA kernels share them: corners are inclusive pixels, so a side is x2 - x1 + 1.
#pragma once
#include "platform.h"

namespace dff {

struct Box {
  float x1, y1, x2, y2;
};

DFF_SHARED float area_of(const Box& b) { return (b.x2 - b.x1 + 1.0f) * (b.y2 - b.y1 + 1.0f); }

// Intersection over union; NaN (which exceeds no threshold) where both boxes are empty.
DFF_SHARED float overlap_of(const Box& a, float area_a, const Box& b, float area_b) {
  const float left = a.x1 > b.x1 ? a.x1 : b.x1, right = a.x2 < b.x2 ? a.x2 : b.x2;
  const float top = a.y1 > b.y1 ? a.y1 : b.y1, bottom = a.y2 < b.y2 ? a.y2 : b.y2;
  const float w = right - left + 1.0f > 0.0f ? right - left + 1.0f : 0.0f;
  const float h = bottom - top + 1.0f > 0.0f ? bottom - top + 1.0f : 0.0f;
  const float common = w * h;
  return common / (area_a + area_b - common);
}

DFF_SHARED float not_a_number() {
  union {
    unsigned int bits;
    float value;
  } pun;
  pun.bits = 0x7fc00000u;
  return pun.value;
}

DFF_SHARED bool is_finite(const Box& b) {
  const float zero = (b.x1 - b.x1) + (b.y1 - b.y1) + (b.x2 - b.x2) + (b.y2 - b.y2);
  return zero == 0.0f;
}

// value clipped to [0, last]; NaN stays NaN.
DFF_SHARED float clip_float(float value, float last) {
  const float below = last < value ? last : value;
  return below < 0.0f ? 0.0f : below;
}

// A key by which an ascending sort puts high scores first and equal scores in the order of their index: unlike a sort
// by score alone it has one result.  NaN scores come last.
DFF_SHARED unsigned long long rank_key(float score, unsigned int index) {
  union {
    float value;
    unsigned int bits;
  } pun;
  pun.value = score == 0.0f ? 0.0f : score;  // -0 equals 0
  const unsigned int ascending = pun.bits >> 31 ? ~pun.bits : pun.bits | 0x80000000u;
  const unsigned int falling = score == score ? ~ascending : 0xffffffffu;
  return static_cast<unsigned long long>(falling) << 32 | index;
}

}  // namespace dff
