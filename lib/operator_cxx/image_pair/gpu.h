// Image pair on the GPU: the same as cpu.h, for device memory, queued on a stream. Throws std::runtime_error.
#pragma once
#include "../common/gpu.h"
#include "element.h"

namespace dff {

void image_pair_gpu(GpuQueue queue, const ImagePairShape& shape, const float* current, const float* reference, float* pair);

}  // namespace dff
