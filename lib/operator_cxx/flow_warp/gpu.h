// Flow warp on the GPU: the same as cpu.h, for device memory, queued on a stream. Throws std::runtime_error.
#pragma once
#include "../common/gpu.h"
#include "element.h"

namespace dff {

void warp_forward_gpu(GpuQueue queue, const WarpShape& shape, const float* feature, const float* flow, const float* scale, float* out);

void warp_backward_gpu(GpuQueue queue, const WarpShape& shape, const float* grad_out, const float* feature, const float* flow,
                       const float* scale, float* grad_feature, float* grad_flow, float* grad_scale);

}  // namespace dff
