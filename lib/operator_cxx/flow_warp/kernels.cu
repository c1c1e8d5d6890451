// Flow warp: a thread takes one pixel and kWarpChannels channels, so that the taps are computed once for all of them and
// neighbouring threads read neighbouring memory.
#include "element.h"

namespace dff {

extern "C" __global__ void dff_warp_forward(WarpShape s, const float* __restrict__ feature, const float* __restrict__ flow,
                                            const float* __restrict__ scale, float* __restrict__ out) {
  const int plane = s.height * s.width, pixel = blockIdx.x * blockDim.x + threadIdx.x, n = blockIdx.z;
  if (pixel >= plane) return;
  const float* flow_here = flow + static_cast<size_t>(n) * 2 * plane + pixel;
  const WarpTap tap = warp_tap(pixel % s.width, pixel / s.width, flow_here[0], flow_here[plane], s.height, s.width);
  const int first = blockIdx.y * kWarpChannels;
#pragma unroll
  for (int k = 0; k < kWarpChannels; ++k) {
    const int channel = first + k;
    if (channel >= s.channels) return;
    const size_t at = (static_cast<size_t>(n) * s.channels + channel) * plane + pixel;
    const float* map = feature + (static_cast<size_t>(s.feature_images > 1 ? n : 0) * s.channels + channel) * plane;
    const float value = tap.weight[0] * map[tap.offset[0]] + tap.weight[1] * map[tap.offset[1]] +
                        tap.weight[2] * map[tap.offset[2]] + tap.weight[3] * map[tap.offset[3]];
    out[at] = scale ? value * scale[at] : value;
  }
}

// grad_feature and grad_flow must be 0 on entry: several pixels may read one cell, and several threads share a pixel's flow.
extern "C" __global__ void dff_warp_backward(WarpShape s, const float* __restrict__ grad_out, const float* __restrict__ feature,
                                             const float* __restrict__ flow, const float* __restrict__ scale,
                                             float* grad_feature, float* grad_flow, float* grad_scale) {
  const int plane = s.height * s.width, pixel = blockIdx.x * blockDim.x + threadIdx.x, n = blockIdx.z;
  if (pixel >= plane) return;
  const size_t flow_at = static_cast<size_t>(n) * 2 * plane + pixel;
  const WarpTap tap = warp_tap(pixel % s.width, pixel / s.width, flow[flow_at], flow[flow_at + plane], s.height, s.width);
  const int first = blockIdx.y * kWarpChannels;
  float sum_x = 0.0f, sum_y = 0.0f;
  for (int channel = first; channel < s.channels && channel < first + kWarpChannels; ++channel) {
    const size_t at = (static_cast<size_t>(n) * s.channels + channel) * plane + pixel;
    const size_t map = (static_cast<size_t>(s.feature_images > 1 ? n : 0) * s.channels + channel) * plane;
    const float gradient = scale ? grad_out[at] * scale[at] : grad_out[at];
    float value = 0.0f, slope_x = 0.0f, slope_y = 0.0f;
    for (int k = 0; k < 4; ++k) {
      const float f = feature[map + tap.offset[k]];
      value += tap.weight[k] * f;
      slope_x += tap.slope_x[k] * f;
      slope_y += tap.slope_y[k] * f;
      if (tap.weight[k] != 0.0f && reads_map(tap)) atomicAdd(grad_feature + map + tap.offset[k], tap.weight[k] * gradient);
    }
    if (scale) grad_scale[at] = grad_out[at] * value;
    sum_x += slope_x * gradient;
    sum_y += slope_y * gradient;
  }
  atomicAdd(grad_flow + flow_at, sum_x);
  atomicAdd(grad_flow + flow_at + plane, sum_y);
}

}  // namespace dff
