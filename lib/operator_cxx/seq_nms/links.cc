#include "links.h"

#include <algorithm>

#include "../common/cpu.h"

namespace dff {
namespace {

const size_t kGroup = 16;

// Bit k of near[g] says whether box k of group g may overlap `box` by `share`. In float, with room for what rounding does; a
// pair beyond the range of float, where this makes NaN, is near. exact_overlap decides.
DFF_CLONES void near_groups(const Box& box, float share, size_t groups, const float* x1, const float* y1, const float* x2,
                            const float* y2, const float* area, unsigned* near) {
  const float box_area = area_of(box);
  for (size_t group = 0; group < groups; ++group) {
    unsigned hits = 0;
    const size_t first = group * kGroup;
#pragma omp simd reduction(| : hits)
    for (unsigned k = 0; k < kGroup; ++k) {
      const size_t i = first + k;
      const float left = box.x1 > x1[i] ? box.x1 : x1[i], right = box.x2 < x2[i] ? box.x2 : x2[i];
      const float top = box.y1 > y1[i] ? box.y1 : y1[i], bottom = box.y2 < y2[i] ? box.y2 : y2[i];
      const float width = right - left + 1.0f, height = bottom - top + 1.0f;
      const float shared = (width > 0.0f ? width : 0.0f) * (height > 0.0f ? height : 0.0f);
      hits |= !(shared * 1.001f < share * (box_area + area[i] - shared)) ? 1u << k : 0u;
    }
    near[group] = hits;
  }
}

double exact_overlap(const Box& a, const Box& b) {
  const double left = std::max(a.x1, b.x1), right = std::min(a.x2, b.x2);
  const double top = std::max(a.y1, b.y1), bottom = std::min(a.y2, b.y2);
  const double width = right - left + 1.0, height = bottom - top + 1.0;
  if (!(width > 0 && height > 0)) return 0;
  const double area_a = (static_cast<double>(a.x2) - a.x1 + 1.0) * (static_cast<double>(a.y2) - a.y1 + 1.0);
  const double area_b = (static_cast<double>(b.x2) - b.x1 + 1.0) * (static_cast<double>(b.y2) - b.y1 + 1.0);
  const double shared = width * height, either = area_a + area_b - shared;
  return either > 0 ? shared / either : 0;
}

// The lists the other way round.
void turn(const Lists& lists, Lists* turned) {
  const size_t count = lists.begin.size() - 1;
  turned->begin.assign(count + 1, 0);
  turned->items.resize(lists.items.size());
  for (const int item : lists.items) ++turned->begin[item + 1];
  for (size_t i = 0; i < count; ++i) turned->begin[i + 1] += turned->begin[i];
  std::vector<size_t> next(turned->begin.begin(), turned->begin.end() - 1);
  for (size_t i = 0; i < count; ++i) {
    for (size_t k = lists.begin[i]; k < lists.begin[i + 1]; ++k) turned->items[next[lists.items[k]]++] = static_cast<int>(i);
  }
}

}  // namespace

FrameBoxes::FrameBoxes(int frames, const int* offsets, const Box* boxes) : offsets_(offsets), boxes_(boxes), groups_(1, 0) {
  const Box far = {1e30f, 1e30f, -1e30f, -1e30f};  // overlaps nothing
  for (int t = 0; t < frames; ++t) {
    groups_.push_back(groups_.back() + (offsets[t + 1] - offsets[t] + kGroup - 1) / kGroup);
    for (size_t k = groups_[t] * kGroup; k < groups_[t + 1] * kGroup; ++k) {
      const size_t i = offsets[t] + (k - groups_[t] * kGroup);
      const bool real = i < static_cast<size_t>(offsets[t + 1]);
      const Box& box = real ? boxes[i] : far;
      x1_.push_back(box.x1), y1_.push_back(box.y1), x2_.push_back(box.x2), y2_.push_back(box.y2);
      area_.push_back(real ? area_of(box) : 1.0f);
    }
  }
}

void FrameBoxes::overlapping(int i, int t, double least, std::vector<int>* found) {
  const size_t groups = groups_[t + 1] - groups_[t], from = groups_[t] * kGroup;
  near_.resize(std::max(near_.size(), groups));
  near_groups(boxes_[i], static_cast<float>(least), groups, x1_.data() + from, y1_.data() + from, x2_.data() + from,
              y2_.data() + from, area_.data() + from, near_.data());
  for (size_t group = 0; group < groups; ++group) {
    const int first = offsets_[t] + static_cast<int>(group * kGroup);
    for (unsigned left = near_[group]; left; left &= left - 1) {
      const int j = first + __builtin_ctz(left);
      if (j < offsets_[t + 1] && exact_overlap(boxes_[i], boxes_[j]) >= least) found->push_back(j);
    }
  }
}

void link_boxes(int frames, const int* offsets, double link, FrameBoxes* boxes, Lists* after, Lists* before) {
  after->begin.assign(1, 0);
  after->items.clear();
  for (int t = 0; t < frames; ++t) {
    for (int i = offsets[t]; i < offsets[t + 1]; ++i) {
      if (t + 1 < frames) boxes->overlapping(i, t + 1, link, &after->items);
      after->begin.push_back(after->items.size());
    }
  }
  turn(*after, before);
}

}  // namespace dff
