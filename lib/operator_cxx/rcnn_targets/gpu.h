// Training targets of the R-FCN head on the GPU: the same as cpu.h, for device memory. Throws std::runtime_error.
#pragma once
#include "../common/gpu.h"
#include "element.h"

namespace dff {

// Bytes of device memory that rcnn_targets_gpu needs as `workspace`.
size_t rcnn_targets_workspace(const TargetShape& shape);

void rcnn_targets_gpu(GpuQueue queue, const TargetShape& shape, const float* rois, const float* truths, const float* chance,
                      void* workspace, const TargetRows& out);

}  // namespace dff
