#include "cpu.h"

#include <algorithm>

#include "../common/cpu.h"
#include "../common/nms.h"

namespace dff {
namespace {

typedef unsigned long long Key;

struct Detection {
  float label, score;
  Box box;
};

// One regressed box in the original image.  In double until the end, so that every exp rounds to the same float.
Box decode(const float* roi, const float* delta, const float* im_info) {
  double low[2], high[2];
  for (int axis = 0; axis < 2; ++axis) {
    const double size = static_cast<double>(roi[axis + 2]) - roi[axis] + 1.0;
    const double centre = roi[axis] + 0.5 * (size - 1.0);
    const double new_centre = static_cast<double>(delta[axis]) * size + centre;
    const double half = 0.5 * (exp(static_cast<double>(delta[axis + 2])) * size - 1.0);
    const double last = static_cast<double>(im_info[1 - axis]) - 1.0, scale = im_info[2];
    low[axis] = new_centre - half;
    high[axis] = new_centre + half;
    low[axis] = std::max(std::min(low[axis], last), 0.0) / scale;
    high[axis] = std::max(std::min(high[axis], last), 0.0) / scale;
  }
  const Box box = {static_cast<float>(low[0]), static_cast<float>(low[1]), static_cast<float>(high[0]), static_cast<float>(high[1])};
  return box;
}

// The detections of one class, best first.
void detect_class(int label, int count, int classes, const float* scores, const Box* boxes, size_t box_step,
                  float score_threshold, float nms_threshold, std::vector<Detection>* found) {
  static thread_local std::vector<Key> keys;
  static thread_local KeptBoxes kept;
  keys.clear();
  kept.clear();
  for (int i = 0; i < count; ++i) {
    const float score = scores[static_cast<size_t>(i) * classes + label];
    if (score > score_threshold && score - score == 0 && is_finite(boxes[i * box_step])) keys.push_back(rank_key(score, i));
  }
  std::sort(keys.begin(), keys.end());
  for (const Key key : keys) {
    const size_t i = key & 0xffffffffu;
    const Box& box = boxes[i * box_step];
    const Detection detection = {static_cast<float>(label), scores[i * classes + label], box};
    if (kept.offer(box, nms_threshold)) found->push_back(detection);
  }
}

// Drops all but the `limit` best; equal scores leave in favour of the earlier one. The order stays.
void keep_best(size_t limit, std::vector<Detection>* all) {
  if (all->size() <= limit) return;
  std::vector<Key> keys(all->size());
  for (size_t i = 0; i < keys.size(); ++i) keys[i] = rank_key((*all)[i].score, static_cast<unsigned>(i));
  std::nth_element(keys.begin(), keys.begin() + limit - 1, keys.end());
  const Key last = keys[limit - 1];
  size_t written = 0;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (rank_key((*all)[i].score, static_cast<unsigned>(i)) <= last) (*all)[written++] = (*all)[i];
  }
  all->resize(limit);
}

}  // namespace
}  // namespace dff

int dff_frame_detections(int count, int classes, int delta_columns, const float* rois, const float* scores,
                         const float* deltas, const float* im_info, float score_threshold, float nms_threshold, int limit,
                         float* detections) {
  using namespace dff;
  // Class-agnostic: one set of boxes, from columns 4 to 8; with one class that is where its own are, too.
  const bool agnostic = delta_columns == 8;
  const int sets = agnostic ? 1 : classes - 1;
  std::vector<Box> boxes(static_cast<size_t>(count) * sets);
  std::vector<std::vector<Detection> > found(classes);
#pragma omp parallel
  {
#pragma omp for
    for (int i = 0; i < count; ++i) {
      for (int set = 0; set < sets; ++set) {
        const float* delta = deltas + static_cast<size_t>(i) * delta_columns + 4 * (set + 1);
        boxes[static_cast<size_t>(i) * sets + set] = decode(rois + static_cast<size_t>(i) * 4, delta, im_info);
      }
    }
#pragma omp for schedule(dynamic)
    for (int label = 1; label < classes; ++label) {
      detect_class(label, count, classes, scores, boxes.data() + (agnostic ? 0 : label - 1), sets, score_threshold,
                   nms_threshold, &found[label]);
    }
  }
  std::vector<Detection> all;
  for (const auto& part : found) all.insert(all.end(), part.begin(), part.end());
  if (limit > 0) keep_best(limit, &all);
  static_assert(sizeof(Detection) == 6 * sizeof(float), "a detection is one row of the result");
  if (!all.empty()) memcpy(detections, all.data(), all.size() * sizeof(Detection));
  return static_cast<int>(all.size());
}
