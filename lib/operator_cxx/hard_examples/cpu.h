// Online hard example mining on the CPU; what is computed is in README.md beside this file.
#pragma once
#include "element.h"

namespace dff {

// Copies of the labels and weights, with -1 and 0 for the regions that are not among the `keep` of highest loss of their image.
void hard_examples_cpu(const MiningShape& shape, const MiningInputs& in, float* label, float* weight);

}  // namespace dff
