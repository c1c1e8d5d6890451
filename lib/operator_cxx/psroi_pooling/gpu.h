// Position-sensitive RoI pooling on the GPU: the same as cpu.h, for device memory. Throws std::runtime_error.
#pragma once
#include "../common/gpu.h"
#include "element.h"

namespace dff {

void psroi_forward_gpu(GpuQueue queue, const PsroiShape& shape, const float* data, const float* rois, float* out);

void psroi_backward_gpu(GpuQueue queue, const PsroiShape& shape, const float* grad_out, const float* rois, float* grad_data);

}  // namespace dff
