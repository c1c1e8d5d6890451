// Correlation on the GPU: the same as cpu.h, for device memory, queued on a stream. Throws std::runtime_error.
#pragma once
#include "../common/gpu.h"
#include "element.h"

namespace dff {

void correlation_forward_gpu(GpuQueue queue, const CorrelationShape& shape, const float* current, const float* reference, float* out);

void correlation_backward_gpu(GpuQueue queue, const CorrelationShape& shape, const float* grad_out, const float* current,
                              const float* reference, float* grad_current, float* grad_reference);

}  // namespace dff
