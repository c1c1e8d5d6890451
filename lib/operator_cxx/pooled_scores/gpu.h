// Scores of regions from pooled features on the GPU: the same as cpu.h, for device memory. Throws std::runtime_error.
#pragma once
#include "../common/gpu.h"
#include "element.h"

namespace dff {

void pooled_scores_gpu(GpuQueue queue, const PooledScoresShape& shape, const float* data, const float* rois,
                       const float* weight, const float* bias, float* out);

}  // namespace dff
