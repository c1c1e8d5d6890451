// Matrix product for panels of 16 columns.
#pragma once
#include <stddef.h>

namespace dff {

const int kGemmRows = 6;  // rows that the kernel takes at a time

// out [rows, 16 * panels] = a [rows, depth] * b [panels, depth, 16]; rows is a multiple of kGemmRows, a and out have
// row pitches.
void multiply(const float* a, size_t a_pitch, int rows, int depth, const float* b, int panels, float* out, size_t out_pitch);

}  // namespace dff
