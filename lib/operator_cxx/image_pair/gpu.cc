#include "gpu.h"

namespace dff {

void image_pair_gpu(GpuQueue queue, const ImagePairShape& s, const float* current, const float* reference, float* pair) {
  const unsigned int threads = 128;
  const Grid grid = {blocks_for(s.columns(), threads), static_cast<unsigned int>(s.rows()),
                     static_cast<unsigned int>(s.images) * 2 * s.channels};
  queue.launch("dff_image_pair", grid, threads, s, current, reference, pair);
}

}  // namespace dff
