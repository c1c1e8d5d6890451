// Position-sensitive RoI pooling on the CPU; the maths is in README.md beside this file.
#pragma once
#include "element.h"

namespace dff {

// data [N, D * G * G, H, W], rois [R, 5] (image, x1, y1, x2, y2) -> out [R, D, P, P].
void psroi_forward_cpu(const PsroiShape& shape, const float* data, const float* rois, float* out);

// Writes grad_data; the regions get no gradient.
void psroi_backward_cpu(const PsroiShape& shape, const float* grad_out, const float* rois, float* grad_data);

}  // namespace dff
