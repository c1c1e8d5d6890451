#include "gpu.h"

namespace dff {
namespace {

const unsigned int kThreads = 256;

Grid grid_of(const PsroiShape& s) {
  return {blocks_for(static_cast<size_t>(s.rois) * s.output_dim * s.pooled * s.pooled, kThreads), 1, 1};
}

}  // namespace

void psroi_forward_gpu(GpuQueue queue, const PsroiShape& s, const float* data, const float* rois, float* out) {
  queue.launch("dff_psroi_forward", grid_of(s), kThreads, s, data, rois, out);
}

void psroi_backward_gpu(GpuQueue queue, const PsroiShape& s, const float* grad_out, const float* rois, float* grad_data) {
  queue.zero(grad_data, static_cast<size_t>(s.images) * s.channels() * s.height * s.width * sizeof(float));
  queue.launch("dff_psroi_backward", grid_of(s), kThreads, s, grad_out, rois, grad_data);
}

}  // namespace dff
