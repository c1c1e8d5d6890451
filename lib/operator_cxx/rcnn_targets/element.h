// One region of interest to its class and box target: code that the CPU and the CUDA kernels share.
#pragma once
#include "../common/box.h"

namespace dff {

struct TargetShape {
  int images, proposals, boxes;  // proposals and ground-truth boxes (padding included) of an image
  int kept;                      // rows of an image in the result
  int foreground_limit;          // of an image; negative: none
  int sets, agnostic;            // box deltas a row, in fours; whether set 1 serves every class
  float foreground, background_high, background_low;  // thresholds of the overlap
  float mean[4], std[4], weight[4];

  DFF_SHARED int candidates() const { return proposals + boxes; }
};

struct Match {
  Box box;
  int truth;    // the ground-truth box of highest overlap, -1: none
  float label;  // its class; 0: background; -1: neither
};

struct TargetRows {
  float *rois, *label, *target, *weight;  // [N * kept] rows of 5, 1, 4 * sets, 4 * sets
};

DFF_SHARED Box box_at(const float* corners) {
  const Box box = {corners[0], corners[1], corners[2], corners[3]};
  return box;
}

// Candidate `i` of an image: its proposals [N, P, 5] come first, then its ground-truth boxes [N, G, 5] (class -1: padding).
DFF_SHARED Match match_candidate(const TargetShape& s, const float* rois, const float* truths, int image, int i) {
  const float* mine = truths + static_cast<size_t>(image) * s.boxes * 5;
  Match match;
  match.box = i < s.proposals ? box_at(rois + (static_cast<size_t>(image) * s.proposals + i) * 5 + 1)
                              : box_at(mine + (i - s.proposals) * 5);
  match.truth = -1;
  match.label = -1.0f;
  const bool padding = i >= s.proposals && !(mine[(i - s.proposals) * 5 + 4] >= 0.0f);
  if (padding || !is_finite(match.box)) return match;
  float best = 0.0f;
  for (int g = 0; g < s.boxes; ++g) {
    if (!(mine[g * 5 + 4] >= 0.0f)) continue;
    const Box truth = box_at(mine + g * 5);
    const float overlap = overlap_of(match.box, area_of(match.box), truth, area_of(truth));
    if (overlap > best) {
      best = overlap;
      match.truth = g;
    }
  }
  if (best >= s.foreground && match.truth >= 0) {
    match.label = mine[match.truth * 5 + 4];
  } else if (best >= s.background_low && best < s.background_high) {
    match.label = 0.0f;
  }
  return match;
}

// Orders the candidates: foreground, background, the rest; within each by `chance`, equal ones as they come.
DFF_SHARED unsigned long long candidate_key(float label, float chance, int i) {
  return rank_key((label > 0.0f ? 2.0f : label == 0.0f ? 1.0f : 0.0f) + chance, i);
}

// Orders the foreground, of which foreground_limit may stay.
DFF_SHARED unsigned long long foreground_key(const TargetShape& s, float chance, int i) {
  return rank_key(chance, s.candidates() - 1 - i);
}

// Deltas from `box` to `truth` (Faster R-CNN, arXiv 1506.01497, eq. 2), normalised.
DFF_SHARED void box_deltas(const TargetShape& s, const Box& box, const Box& truth, float* deltas) {
  const float width = box.x2 - box.x1 + 1.0f, height = box.y2 - box.y1 + 1.0f;
  const float truth_width = truth.x2 - truth.x1 + 1.0f, truth_height = truth.y2 - truth.y1 + 1.0f;
  deltas[0] = (truth.x1 + 0.5f * (truth_width - 1.0f) - box.x1 - 0.5f * (width - 1.0f)) / width;
  deltas[1] = (truth.y1 + 0.5f * (truth_height - 1.0f) - box.y1 - 0.5f * (height - 1.0f)) / height;
  deltas[2] = logf(truth_width / width);
  deltas[3] = logf(truth_height / height);
  for (int k = 0; k < 4; ++k) deltas[k] = (deltas[k] - s.mean[k]) / s.std[k];
}

DFF_SHARED void write_row(const TargetShape& s, const float* truths, int image, int row, const Match& match, const TargetRows& out) {
  const size_t at = static_cast<size_t>(image) * s.kept + row;
  float* roi = out.rois + at * 5;
  roi[0] = static_cast<float>(image);
  roi[1] = match.box.x1;
  roi[2] = match.box.y1;
  roi[3] = match.box.x2;
  roi[4] = match.box.y2;
  out.label[at] = match.label;
  float *target = out.target + at * 4 * s.sets, *weight = out.weight + at * 4 * s.sets;
  for (int k = 0; k < 4 * s.sets; ++k) target[k] = weight[k] = 0.0f;
  const int set = s.agnostic ? 1 : clamp_to_int(match.label, s.sets);
  if (!(match.label > 0.0f) || set >= s.sets) return;
  box_deltas(s, match.box, box_at(truths + (static_cast<size_t>(image) * s.boxes + match.truth) * 5), target + 4 * set);
  for (int k = 0; k < 4; ++k) weight[4 * set + k] = s.weight[k];
}

}  // namespace dff
