// Training targets of the R-FCN head on the CPU; what is computed is in README.md beside this file.
#pragma once
#include "element.h"

namespace dff {

// rois [N * P, 5], truths [N, G, 5], chance [N, P + G] (numbers in [0, 1) that decide a sample) or null.
void rcnn_targets_cpu(const TargetShape& shape, const float* rois, const float* truths, const float* chance, const TargetRows& out);

}  // namespace dff
