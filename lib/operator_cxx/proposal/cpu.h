// Region proposals on the CPU; what is computed is in README.md beside this file.
#pragma once
#include <vector>

#include "element.h"

namespace dff {

// Fills s.anchor from the stride, the ratios (height / width) and the scales; s.anchors becomes their product.
// False if there are more than kMaxAnchors.
bool make_anchors(const std::vector<float>& ratios, const std::vector<float>& scales, ProposalShape* s);

// cls_prob [N, 2A, H, W], bbox_pred [N, 4A, H, W], im_info [N, 3] -> rois [N * after_nms, 5].
void proposal_cpu(const ProposalShape& shape, const float* cls_prob, const float* bbox_pred, const float* im_info, float* rois);

}  // namespace dff
