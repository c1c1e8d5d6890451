// Image pair: a thread takes one value of the pair.
#include "element.h"

namespace dff {

extern "C" __global__ void dff_image_pair(ImagePairShape s, const float* __restrict__ current, const float* __restrict__ reference,
                                          float* __restrict__ pair) {
  const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y, plane = blockIdx.z;
  if (x >= s.columns()) return;
  const int image = plane / (2 * s.channels), channel = plane % (2 * s.channels);
  const bool is_current = channel < s.channels;
  const int source = is_current || s.references > 1 ? image : 0;
  const size_t place = static_cast<size_t>(source) * s.channels + channel % s.channels;
  const float* upper = (is_current ? current : reference) + (place * s.height + 2 * y) * s.width;
  const float* lower = upper + (2 * y + 1 < s.height ? s.width : 0);
  const int left = 2 * x, right = min_int(left + 1, s.width - 1);
  const size_t out = (static_cast<size_t>(plane) * s.rows() + y) * s.columns() + x;
  pair[out] = mean_of_four(upper[left], upper[right], lower[left], lower[right]) * s.factor;
}

}  // namespace dff
