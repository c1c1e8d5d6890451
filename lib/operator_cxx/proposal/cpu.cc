#include "cpu.h"

#include <algorithm>

#include "../common/cpu.h"
#include "../common/nms.h"
#include "../common/parallel.h"

namespace dff {
namespace {

enum { kCandidates, kKeys, kKept };  // scratch slots

// Candidates of one row of cells, in MXNet's order: by row, column, anchor.
void decode_row(const ProposalShape& s, int image, int y, const float* cls_prob, const float* bbox_pred,
                const float* im_info, Candidate* candidates) {
  const int plane = s.height * s.width;
  for (int a = 0; a < s.anchors; ++a) {
    const float* scores = cls_prob + (static_cast<size_t>(image) * 2 * s.anchors + s.anchors + a) * plane + y * s.width;
    const float* deltas = bbox_pred + (static_cast<size_t>(image) * 4 * s.anchors + 4 * a) * plane + y * s.width;
    Candidate* row = candidates + static_cast<size_t>(image) * s.boxes() + static_cast<size_t>(y) * s.width * s.anchors + a;
    for (int x = 0; x < s.width; ++x) {
      row[x * s.anchors] = decode_anchor(s, a, x, y, scores[x], deltas + x, plane, im_info + 3 * image);
    }
  }
}

// Sort, NMS and padding of one image.
void select(const ProposalShape& s, int image, const Candidate* candidates, float* rois) {
  const int count = s.candidates(), boxes = s.boxes();
  Key* keys = scratch<Key>(kKeys, boxes);
  for (int i = 0; i < boxes; ++i) keys[i] = rank_key(candidates[i].score, i);
  std::nth_element(keys, keys + count - 1, keys + boxes);
  std::sort(keys, keys + count);

  static thread_local KeptBoxes kept_boxes;
  kept_boxes.clear();
  int* kept = scratch<int>(kKept, s.kept());
  int kept_count = 0;
  for (int i = 0; i < count && kept_count < s.kept(); ++i) {
    const int index = static_cast<int>(keys[i] & 0xffffffffu);
    const Candidate& c = candidates[index];
    if (!(c.score == c.score)) break;  // the rest has no order or no place
    if (kept_boxes.offer(c.box, s.threshold)) kept[kept_count++] = index;
  }
  for (int i = 0; i < s.after_nms; ++i) {
    const Box none = {0, 0, 0, 0};
    const Box& box = kept_count ? candidates[kept[i % kept_count]].box : none;
    const float row[5] = {static_cast<float>(image), box.x1, box.y1, box.x2, box.y2};
    memcpy(rois + static_cast<size_t>(i) * 5, row, sizeof(row));
  }
}

}  // namespace

bool make_anchors(const std::vector<float>& ratios, const std::vector<float>& scales, ProposalShape* s) {
  if (ratios.size() * scales.size() > kMaxAnchors) return false;
  s->anchors = 0;
  const float centre = 0.5f * (s->stride - 1.0f);
  for (const float ratio : ratios) {
    const float width = floorf(sqrtf(floorf(s->stride * s->stride / ratio)) + 0.5f);
    for (const float scale : scales) {
      const float height = floorf(width * scale / scale * ratio + 0.5f);  // MXNet's detour can round to another pixel
      const float half_width = 0.5f * (width * scale - 1.0f), half_height = 0.5f * (height * scale - 1.0f);
      const Box anchor = {centre - half_width, centre - half_height, centre + half_width, centre + half_height};
      s->anchor[s->anchors++] = anchor;
    }
  }
  return true;
}

void proposal_cpu(const ProposalShape& s, const float* cls_prob, const float* bbox_pred, const float* im_info, float* rois) {
  Candidate* candidates = scratch<Candidate>(kCandidates, static_cast<size_t>(s.images) * s.boxes());
#pragma omp parallel for
  for (int row = 0; row < s.images * s.height; ++row) {
    decode_row(s, row / s.height, row % s.height, cls_prob, bbox_pred, im_info, candidates);
  }
  Caught caught;
#pragma omp parallel for
  for (int image = 0; image < s.images; ++image) {
    caught.run([&] {
      select(s, image, candidates + static_cast<size_t>(image) * s.boxes(), rois + static_cast<size_t>(image) * s.after_nms * 5);
    });
  }
  caught.rethrow();
}

}  // namespace dff
