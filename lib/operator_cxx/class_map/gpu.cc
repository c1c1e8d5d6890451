#include "gpu.h"

namespace dff {

void class_map_gpu(GpuQueue queue, const ClassMapShape& s, const float* score, const float* rows, const float* columns,
                   unsigned char* labels) {
  const unsigned int threads = 128;
  queue.launch("dff_class_map", Grid{blocks_for(s.columns, threads), static_cast<unsigned int>(s.rows), 1}, threads, s, score, rows,
               columns, labels);
}

}  // namespace dff
