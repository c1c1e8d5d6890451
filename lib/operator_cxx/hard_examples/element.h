// The loss by which regions of interest are ranked: code that the CPU and the CUDA kernels share.
#pragma once
#include "../common/box.h"

namespace dff {

struct MiningShape {
  int images, rois;   // rois of an image
  int classes, deltas;  // columns of the scores and of the box regression
  int keep;           // rois of an image that stay
};

struct MiningInputs {
  const float *score, *deltas, *label, *target, *weight;  // rows of classes, deltas, 1, deltas, deltas
};

// Softmax cross-entropy plus weighted smooth L1 (Fast R-CNN, arXiv 1504.08083, eq. 3) of one row; -1 where the label is -1.
DFF_SHARED float loss_of(const MiningShape& s, const MiningInputs& in, size_t row) {
  const float label = in.label[row];
  if (label < 0.0f) return -1.0f;
  const float* score = in.score + row * s.classes;
  float highest = score[0], sum = 0.0f, box_loss = 0.0f;
  for (int c = 1; c < s.classes; ++c) highest = score[c] > highest ? score[c] : highest;
  for (int c = 0; c < s.classes; ++c) sum += expf(score[c] - highest);
  for (size_t k = row * s.deltas; k < (row + 1) * s.deltas; ++k) {
    const float away = fabsf(in.deltas[k] - in.target[k]);
    box_loss += in.weight[k] * (away < 1.0f ? 0.5f * away * away : away - 0.5f);
  }
  return box_loss + logf(sum) - (score[clamp_to_int(label, s.classes - 1)] - highest);
}

// Orders the regions of an image by falling loss, of equal ones the last first; a loss of NaN counts as the highest, so that
// it shows in training.
DFF_SHARED unsigned long long loss_key(const MiningShape& s, float loss, int i) {
  return loss == loss ? rank_key(loss, s.rois - 1 - i) : static_cast<unsigned long long>(i);
}

}  // namespace dff
