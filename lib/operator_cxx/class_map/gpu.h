// Class map on the GPU: the same as cpu.h, for device memory, queued on a stream. Throws std::runtime_error.
#pragma once
#include "../common/gpu.h"
#include "element.h"

namespace dff {

void class_map_gpu(GpuQueue queue, const ClassMapShape& shape, const float* score, const float* rows, const float* columns,
                   unsigned char* labels);

}  // namespace dff
