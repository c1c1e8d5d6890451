// Online hard example mining: a thread takes one region and counts how many have a higher loss.
#include "element.h"

namespace dff {

extern "C" __global__ void dff_rank_losses(MiningShape s, MiningInputs in, unsigned long long* keys) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= s.rois) return;
  const size_t row = static_cast<size_t>(blockIdx.y) * s.rois + i;
  keys[row] = loss_key(s, loss_of(s, in, row), i);
}

extern "C" __global__ void dff_keep_hard(MiningShape s, MiningInputs in, const unsigned long long* __restrict__ keys,
                                         float* label, float* weight) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= s.rois) return;
  const unsigned long long* mine = keys + static_cast<size_t>(blockIdx.y) * s.rois;
  int before = 0;
  for (int j = 0; j < s.rois; ++j) before += mine[j] < mine[i] ? 1 : 0;
  const size_t row = static_cast<size_t>(blockIdx.y) * s.rois + i;
  const bool hard = before < s.keep;
  label[row] = hard ? in.label[row] : -1.0f;
  for (size_t k = row * s.deltas; k < (row + 1) * s.deltas; ++k) weight[k] = hard ? in.weight[k] : 0.0f;
}

}  // namespace dff
