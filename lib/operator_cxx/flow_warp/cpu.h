// Flow warp on the CPU; the maths is in README.md beside this file.
#pragma once
#include "element.h"

namespace dff {

// Writes the taps [N, H, W] of every pixel of every image, which all channels share.
void fill_taps(const WarpShape& shape, const float* flow, WarpTap* taps);

// feature [F, C, H, W], flow [N, 2, H, W], scale [N, C, H, W] or null -> out [N, C, H, W].
void warp_forward_cpu(const WarpShape& shape, const float* feature, const float* flow, const float* scale, float* out);

// Writes the gradients of all inputs; scale and grad_scale are null together.
void warp_backward_cpu(const WarpShape& shape, const float* grad_out, const float* feature, const float* flow,
                       const float* scale, float* grad_feature, float* grad_flow, float* grad_scale);

}  // namespace dff
