#include "gpu.h"

namespace dff {

void pooled_scores_gpu(GpuQueue queue, const PooledScoresShape& s, const float* data, const float* rois, const float* weight,
                       const float* bias, float* out) {
  const Grid grid = {static_cast<unsigned int>(s.rois), blocks_for(s.outputs, kScoreTile), 1};
  queue.launch("dff_pooled_scores", grid, kScoreThreads, s, data, rois, weight, bias, out);
}

}  // namespace dff
