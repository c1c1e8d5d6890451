#include "gpu.h"

namespace dff {
namespace {

const unsigned int kThreads = 128;

Grid grid_of(const CorrelationShape& s, int planes) {
  return {blocks_for(static_cast<size_t>(s.height) * s.width, kThreads), static_cast<unsigned int>(planes),
          static_cast<unsigned int>(s.images)};
}

}  // namespace

void correlation_forward_gpu(GpuQueue queue, const CorrelationShape& s, const float* current, const float* reference, float* out) {
  queue.launch("dff_correlation_forward", grid_of(s, s.planes()), kThreads, s, current, reference, out);
}

void correlation_backward_gpu(GpuQueue queue, const CorrelationShape& s, const float* grad_out, const float* current,
                              const float* reference, float* grad_current, float* grad_reference) {
  queue.launch("dff_correlation_backward", grid_of(s, s.channels), kThreads, s, grad_out, reference, 1, grad_current);
  queue.launch("dff_correlation_backward", grid_of(s, s.channels), kThreads, s, grad_out, current, -1, grad_reference);
}

}  // namespace dff
