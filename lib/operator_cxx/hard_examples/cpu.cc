#include "cpu.h"

#include <algorithm>
#include <vector>

namespace dff {

void hard_examples_cpu(const MiningShape& s, const MiningInputs& in, float* label, float* weight) {
  typedef unsigned long long Key;
  const size_t total = static_cast<size_t>(s.images) * s.rois;
  std::vector<Key> keys(total);
  // One image's regions are done before a second thread is awake.
#pragma omp parallel for if (total * s.classes > 100000)
  for (long long row = 0; row < static_cast<long long>(total); ++row) {
    keys[row] = loss_key(s, loss_of(s, in, row), static_cast<int>(row % s.rois));
  }
  for (int image = 0; image < s.images; ++image) {
    const Key* mine = keys.data() + static_cast<size_t>(image) * s.rois;
    std::vector<Key> sorted(mine, mine + s.rois);
    std::sort(sorted.begin(), sorted.end());
    for (int i = 0; i < s.rois; ++i) {
      const bool hard = s.keep >= s.rois || (s.keep > 0 && mine[i] <= sorted[s.keep - 1]);
      const size_t row = static_cast<size_t>(image) * s.rois + i, at = row * s.deltas;
      label[row] = hard ? in.label[row] : -1.0f;
      for (int k = 0; k < s.deltas; ++k) weight[at + k] = hard ? in.weight[at + k] : 0.0f;
    }
  }
}

}  // namespace dff
