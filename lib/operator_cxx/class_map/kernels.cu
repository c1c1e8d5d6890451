// Class map: a thread takes one pixel of the image and goes through the classes.
#include "element.h"

namespace dff {

extern "C" __global__ void dff_class_map(ClassMapShape s, const float* __restrict__ score, const float* __restrict__ rows,
                                         const float* __restrict__ columns, unsigned char* __restrict__ labels) {
  const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y;
  if (x >= s.columns) return;
  const Between down = between_cells(rows[y], s.height), across = between_cells(columns[x], s.width);
  const int plane = s.height * s.width;
  int label = 0;
  float best = kLowest;
  for (int c = 0; c < s.classes; ++c) {
    const float *upper = score + static_cast<size_t>(c) * plane + down.low * s.width, *lower = upper + (down.high - down.low) * s.width;
    const float value = mixed(mixed(upper[across.low], upper[across.high], across.part),
                              mixed(lower[across.low], lower[across.high], across.part), down.part);
    if (value > best) {
      label = c;
      best = value;
    }
  }
  labels[static_cast<size_t>(y) * s.columns + x] = static_cast<unsigned char>(label);
}

}  // namespace dff
