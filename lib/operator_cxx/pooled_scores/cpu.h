// Scores of regions from pooled features, on the CPU; the maths is in README.md beside this file.
#pragma once
#include "element.h"

namespace dff {

// data [N, C, H, W], rois [R, 5] (image, x1, y1, x2, y2), weight as PooledScoresShape::weight_at has it, bias [P * P, O]
// -> out [R, O].
void pooled_scores_cpu(const PooledScoresShape& shape, const float* data, const float* rois, const float* weight,
                       const float* bias, float* out);

}  // namespace dff
