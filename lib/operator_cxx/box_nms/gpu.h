// Detections of the frames of a batch on the GPU: as cpu.h, for device memory. Throws std::runtime_error.
#pragma once
#include "../common/gpu.h"
#include "element.h"

namespace dff {

// Bytes of device memory that detections_gpu needs as `workspace`.
size_t detections_workspace(const FrameShape& shape);

// rois [N * R, 5], scores [N, R, classes], deltas [N, R, delta_columns], im_info [N, 3] -> detections [N, limit, 6]; rows that
// are left over have class -1 and zeros.
void detections_gpu(GpuQueue queue, const FrameShape& shape, const float* rois, const float* scores, const float* deltas,
                    const float* im_info, void* workspace, float* detections);

}  // namespace dff
