#include "gpu.h"

namespace dff {

void hard_examples_gpu(GpuQueue queue, const MiningShape& s, const MiningInputs& in, void* workspace, float* label, float* weight) {
  const unsigned int threads = 64;
  const Grid grid = {blocks_for(s.rois, threads), static_cast<unsigned int>(s.images), 1};
  unsigned long long* keys = static_cast<unsigned long long*>(workspace);
  queue.launch("dff_rank_losses", grid, threads, s, in, keys);
  queue.launch("dff_keep_hard", grid, threads, s, in, static_cast<const unsigned long long*>(keys), label, weight);
}

}  // namespace dff
