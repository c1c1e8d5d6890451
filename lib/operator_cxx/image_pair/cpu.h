// Image pair on the CPU; the maths is in README.md beside this file.
#pragma once
#include "element.h"

namespace dff {

// current [N, C, H, W], reference [1 or N, C, H, W] -> pair [N, 2 C, rows, columns].
void image_pair_cpu(const ImagePairShape& shape, const float* current, const float* reference, float* pair);

}  // namespace dff
