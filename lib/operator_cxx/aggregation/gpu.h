// Aggregation of frames on the GPU: the same as cpu.h, for device memory. Throws std::runtime_error.
#pragma once
#include "../common/gpu.h"
#include "cpu.h"

namespace dff {

// Bytes of device memory that both need as `workspace`.
inline size_t aggregate_workspace(const AggregateShape& s) {
  return sizeof(float) * s.plane() * (4 * static_cast<size_t>(s.maps()) + s.images);
}

void aggregate_forward_gpu(GpuQueue queue, const AggregateShape& shape, const AggregateInputs& in, void* workspace, float* out);

void aggregate_backward_gpu(GpuQueue queue, const AggregateShape& shape, const float* grad_out, const AggregateInputs& in,
                            void* workspace, const AggregateGradients& grad);

}  // namespace dff
