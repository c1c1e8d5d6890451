// Training targets: a thread takes one candidate and counts how many come before it; there are too few for a sort to pay.
#include "element.h"

namespace dff {

extern "C" __global__ void dff_match_candidates(TargetShape s, const float* __restrict__ rois, const float* __restrict__ truths,
                                                Match* matches) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x, image = blockIdx.y;
  if (i < s.candidates()) matches[static_cast<size_t>(image) * s.candidates() + i] = match_candidate(s, rois, truths, image, i);
}

__device__ __forceinline__ float chance_of(const TargetShape& s, const float* chance, int image, int i) {
  return chance ? chance[static_cast<size_t>(image) * s.candidates() + i] : 0.0f;
}

// labels [N, P + G]: those of the matches, but -1 for foreground beyond the limit.
extern "C" __global__ void dff_limit_foreground(TargetShape s, const Match* __restrict__ matches, const float* __restrict__ chance,
                                                float* labels) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x, image = blockIdx.y, count = s.candidates();
  if (i >= count) return;
  const Match* mine = matches + static_cast<size_t>(image) * count;
  float label = mine[i].label;
  if (label > 0.0f && s.foreground_limit >= 0) {
    const unsigned long long key = foreground_key(s, chance_of(s, chance, image, i), i);
    int before = 0;
    for (int j = 0; j < count; ++j) {
      before += mine[j].label > 0.0f && foreground_key(s, chance_of(s, chance, image, j), j) < key ? 1 : 0;
    }
    if (before >= s.foreground_limit) label = -1.0f;
  }
  labels[static_cast<size_t>(image) * count + i] = label;
}

extern "C" __global__ void dff_write_targets(TargetShape s, const Match* __restrict__ matches, const float* __restrict__ labels,
                                             const float* __restrict__ truths, const float* __restrict__ chance, TargetRows out) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x, image = blockIdx.y, count = s.candidates();
  if (i >= count) return;
  const float* mine = labels + static_cast<size_t>(image) * count;
  const unsigned long long key = candidate_key(mine[i], chance_of(s, chance, image, i), i);
  int row = 0;
  for (int j = 0; j < count; ++j) row += candidate_key(mine[j], chance_of(s, chance, image, j), j) < key ? 1 : 0;
  if (row >= s.kept) return;
  Match match = matches[static_cast<size_t>(image) * count + i];
  match.label = mine[i];
  write_row(s, truths, image, row, match, out);
}

}  // namespace dff
