// Class map on the CPU; the maths is in README.md beside this file.
#pragma once
#include "element.h"

namespace dff {

// score [C, h, w], rows [H], columns [W] -> labels [H, W].
void class_map_cpu(const ClassMapShape& shape, const float* score, const float* rows, const float* columns, unsigned char* labels);

}  // namespace dff
