// Region proposals on the GPU: the same as cpu.h, for device memory. Throws std::runtime_error.
#pragma once
#include "../common/gpu.h"
#include "element.h"

namespace dff {

// Bytes of device memory that proposal_gpu needs as `workspace`.
size_t proposal_workspace(const ProposalShape& shape);

void proposal_gpu(GpuQueue queue, const ProposalShape& shape, const float* cls_prob, const float* bbox_pred, const float* im_info,
                  void* workspace, float* rois);

}  // namespace dff
