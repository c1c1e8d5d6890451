// Online hard example mining on the GPU: the same as cpu.h, for device memory. Throws std::runtime_error.
#pragma once
#include "../common/gpu.h"
#include "element.h"

namespace dff {

// Bytes of device memory that hard_examples_gpu needs as `workspace`.
inline size_t hard_examples_workspace(const MiningShape& s) { return sizeof(unsigned long long) * s.images * s.rois; }

void hard_examples_gpu(GpuQueue queue, const MiningShape& shape, const MiningInputs& in, void* workspace, float* label, float* weight);

}  // namespace dff
