#include "gpu.h"

namespace dff {
namespace {

const unsigned int kThreads = 128;

Grid grid_of(const WarpShape& s) {
  return {blocks_for(static_cast<size_t>(s.height) * s.width, kThreads), blocks_for(s.channels, kWarpChannels),
          static_cast<unsigned int>(s.images)};
}

}  // namespace

void warp_forward_gpu(GpuQueue queue, const WarpShape& s, const float* feature, const float* flow, const float* scale, float* out) {
  queue.launch("dff_warp_forward", grid_of(s), kThreads, s, feature, flow, scale, out);
}

void warp_backward_gpu(GpuQueue queue, const WarpShape& s, const float* grad_out, const float* feature, const float* flow,
                       const float* scale, float* grad_feature, float* grad_flow, float* grad_scale) {
  const size_t plane = static_cast<size_t>(s.height) * s.width;
  queue.zero(grad_feature, plane * s.channels * s.feature_images * sizeof(float));
  queue.zero(grad_flow, plane * 2 * s.images * sizeof(float));
  queue.launch("dff_warp_backward", grid_of(s), kThreads, s, grad_out, feature, flow, scale, grad_feature, grad_flow, grad_scale);
}

}  // namespace dff
