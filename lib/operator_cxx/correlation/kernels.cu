// Correlation: a thread takes one element, so that neighbouring threads read neighbouring memory and nothing is added atomically.
#include "element.h"

namespace dff {

extern "C" __global__ void dff_correlation_forward(CorrelationShape s, const float* __restrict__ current,
                                                   const float* __restrict__ reference, float* __restrict__ out) {
  const int area = s.height * s.width, cell = blockIdx.x * blockDim.x + threadIdx.x, plane = blockIdx.y, n = blockIdx.z;
  if (cell >= area) return;
  const size_t map = static_cast<size_t>(n) * s.channels * area;
  out[(static_cast<size_t>(n) * s.planes() + plane) * area + cell] =
      correlation_value(s, current + map, reference + map, plane, cell / s.width, cell % s.width);
}

extern "C" __global__ void dff_correlation_backward(CorrelationShape s, const float* __restrict__ grad_out,
                                                    const float* __restrict__ other, int direction, float* __restrict__ gradient) {
  const int area = s.height * s.width, cell = blockIdx.x * blockDim.x + threadIdx.x, channel = blockIdx.y, n = blockIdx.z;
  if (cell >= area) return;
  const size_t map = static_cast<size_t>(n) * s.channels * area;
  gradient[map + static_cast<size_t>(channel) * area + cell] =
      correlation_gradient(s, grad_out + static_cast<size_t>(n) * s.planes() * area, other + map, direction, channel,
                           cell / s.width, cell % s.width);
}

}  // namespace dff
