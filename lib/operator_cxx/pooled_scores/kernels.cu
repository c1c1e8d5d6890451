// Scores of regions from pooled features: a block takes one region and a tile of outputs. Bin by bin, each thread pools a
// channel into shared memory, and then adds its quarter of the channels' products to its output.
#include "element.h"

namespace dff {

__device__ __forceinline__ float mean_of(const float* plane, int width, const CellRange& rows, const CellRange& columns) {
  float sum = 0.0f;
  for (int y = rows.begin; y < rows.end; ++y) {
    for (int x = columns.begin; x < columns.end; ++x) sum += plane[static_cast<size_t>(y) * width + x];
  }
  return sum / static_cast<float>(rows.size() * columns.size());
}

extern "C" __global__ void dff_pooled_scores(PooledScoresShape s, const float* __restrict__ data, const float* __restrict__ rois,
                                             const float* __restrict__ weight, const float* __restrict__ bias,
                                             float* __restrict__ out) {
  __shared__ float shared[kScoreThreads];
  const int thread = threadIdx.x, parts = kScoreThreads / kScoreTile, part = thread / kScoreTile;
  const int output = blockIdx.y * kScoreTile + thread % kScoreTile;
  const float* roi = rois + static_cast<size_t>(blockIdx.x) * 5;
  const int image = image_of_roi(roi, s.images);
  const size_t plane = static_cast<size_t>(s.height) * s.width;
  float sum = 0.0f;
  for (int bin = 0; image >= 0 && bin < s.bins(); ++bin) {
    const CellRange rows = bin_range(roi[2], roi[4], bin / s.pooled, s.pooled, s.spatial_scale, s.height);
    const CellRange columns = bin_range(roi[1], roi[3], bin % s.pooled, s.pooled, s.spatial_scale, s.width);
    if (rows.size() == 0 || columns.size() == 0) continue;  // for all threads of the block alike
    if (part == 0 && output < s.outputs) sum += bias[static_cast<size_t>(bin) * s.outputs + output];
    for (int first = 0; first < s.channels; first += kScoreThreads) {
      const int channel = first + thread, count = min_int(kScoreThreads, s.channels - first);
      if (thread < count) shared[thread] = mean_of(data + s.offset(image) + channel * plane, s.width, rows, columns);
      __syncthreads();
      for (int c = part; output < s.outputs && c < count; c += parts) {
        sum += shared[c] * weight[s.weight_at(bin, first + c, output)];
      }
      __syncthreads();
    }
  }
  shared[thread] = sum;
  __syncthreads();
  if (part == 0 && output < s.outputs) {
    for (int p = 1; p < parts; ++p) sum += shared[p * kScoreTile + thread];
    out[static_cast<size_t>(blockIdx.x) * s.outputs + output] = sum;
  }
}

}  // namespace dff
