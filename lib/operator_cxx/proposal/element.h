// One anchor to one proposal: code that the CPU and the CUDA kernel share.
#pragma once
#include "../common/box.h"

namespace dff {

const int kMaxAnchors = 64;  // shapes of anchors at one place

// Of the GPU's kernels: keys that one block sorts, candidates in one word of a mask, words that one block can hold.
typedef unsigned long long Key;
const int kSortChunk = 1024, kWordBits = 64, kMaxWords = 2048;

struct ProposalShape {
  int images, anchors, height, width;
  int before_nms, after_nms;  // candidates for NMS (0 or less: all), rows of an image in the result
  float stride, threshold, min_size;
  Box anchor[kMaxAnchors];  // at the first cell

  DFF_SHARED int boxes() const { return anchors * height * width; }
  DFF_SHARED int candidates() const { return before_nms > 0 ? min_int(before_nms, boxes()) : boxes(); }
  DFF_SHARED int kept() const { return min_int(after_nms, candidates()); }
};

struct Candidate {
  Box box;
  float score;
};

// Anchor `a` at cell (x, y), moved by its deltas and clipped to the image.  Cells beyond the image and boxes below the
// minimum size get score -1, as in MXNet's Proposal, whose mixture of float and double steps this follows to the bit;
// a box that is not finite gets NaN, which comes after all others and is never kept.
// `deltas`: dx of this anchor and cell; dy, dw, dh follow at `step` each.
DFF_SHARED Candidate decode_anchor(const ProposalShape& s, int a, int x, int y, float score, const float* deltas,
                                   int step, const float* im_info) {
  Box anchor = s.anchor[a];
  anchor.x1 += static_cast<float>(x) * s.stride;
  anchor.x2 += static_cast<float>(x) * s.stride;
  anchor.y1 += static_cast<float>(y) * s.stride;
  anchor.y2 += static_cast<float>(y) * s.stride;
  const float width = anchor.x2 - anchor.x1 + 1.0f, height = anchor.y2 - anchor.y1 + 1.0f;
  const float centre_x = static_cast<float>(anchor.x1 + 0.5 * (width - 1.0));
  const float centre_y = static_cast<float>(anchor.y1 + 0.5 * (height - 1.0));
  const float new_x = deltas[0] * width + centre_x, new_y = deltas[step] * height + centre_y;
  const float new_width = expf(deltas[2 * step]) * width, new_height = expf(deltas[3 * step]) * height;
  Candidate c;
  c.box.x1 = clip_float(static_cast<float>(new_x - 0.5 * (new_width - 1.0)), im_info[1] - 1.0f);
  c.box.y1 = clip_float(static_cast<float>(new_y - 0.5 * (new_height - 1.0)), im_info[0] - 1.0f);
  c.box.x2 = clip_float(static_cast<float>(new_x + 0.5 * (new_width - 1.0)), im_info[1] - 1.0f);
  c.box.y2 = clip_float(static_cast<float>(new_y + 0.5 * (new_height - 1.0)), im_info[0] - 1.0f);
  c.score = score;
  if (y >= clamp_to_int(im_info[0] / s.stride, s.height) || x >= clamp_to_int(im_info[1] / s.stride, s.width)) c.score = -1.0f;
  const float least = s.min_size * im_info[2];
  if (c.box.x2 - c.box.x1 + 1.0f < least || c.box.y2 - c.box.y1 + 1.0f < least) {
    c.box.x1 -= least / 2;
    c.box.y1 -= least / 2;
    c.box.x2 += least / 2;
    c.box.y2 += least / 2;
    c.score = -1.0f;
  }
  if (!is_finite(c.box)) c.score = not_a_number();
  return c;
}

}  // namespace dff
