#include "cpu.h"

#include <algorithm>

#include "../common/cpu.h"
#include "../common/nms.h"
#include "element.h"

namespace dff {
namespace {

typedef unsigned long long Key;

// The detections of one class, best first.
void detect_class(int label, int count, int classes, const float* scores, const Box* boxes, size_t box_step,
                  float score_threshold, float nms_threshold, std::vector<Detection>* found) {
  static thread_local std::vector<Key> keys;
  static thread_local KeptBoxes kept;
  keys.clear();
  kept.clear();
  for (int i = 0; i < count; ++i) {
    const float score = scores[static_cast<size_t>(i) * classes + label];
    if (is_detection(score, score_threshold, boxes[i * box_step])) keys.push_back(rank_key(score, i));
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
  const int sets = box_sets(classes, delta_columns);
  if (classes < 2) return 0;
  std::vector<Box> boxes(static_cast<size_t>(count) * sets);
  std::vector<std::vector<Detection> > found(classes);
  // On one thread: it takes a fraction of a millisecond, and a second team of OpenMP threads beside MXNet's, spinning on
  // the same cores, makes the network itself up to three times slower.
  for (int i = 0; i < count; ++i) {
    for (int set = 0; set < sets; ++set) {
      const float* delta = deltas + static_cast<size_t>(i) * delta_columns + 4 * (set + 1);
      boxes[static_cast<size_t>(i) * sets + set] = decode_detection(rois + static_cast<size_t>(i) * 4, delta, im_info);
    }
  }
  for (int label = 1; label < classes; ++label) {
    detect_class(label, count, classes, scores, boxes.data() + (sets == 1 ? 0 : label - 1), sets, score_threshold, nms_threshold,
                 &found[label]);
  }
  std::vector<Detection> all;
  for (const auto& part : found) all.insert(all.end(), part.begin(), part.end());
  if (limit > 0) keep_best(limit, &all);
  if (!all.empty()) memcpy(detections, all.data(), all.size() * sizeof(Detection));
  return static_cast<int>(all.size());
}
