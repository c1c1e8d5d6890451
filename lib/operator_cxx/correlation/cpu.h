// Correlation of two feature maps on the CPU; the maths is in README.md beside this file.
#pragma once
#include "element.h"

namespace dff {

// current, reference [N, C, H, W] -> out [N, (2D + 1)^2, H, W].
void correlation_forward_cpu(const CorrelationShape& shape, const float* current, const float* reference, float* out);

// Writes the gradients of both maps.
void correlation_backward_cpu(const CorrelationShape& shape, const float* grad_out, const float* current, const float* reference,
                              float* grad_current, float* grad_reference);

}  // namespace dff
