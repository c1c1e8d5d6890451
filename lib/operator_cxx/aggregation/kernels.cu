// Aggregation of frames: a thread takes one place and some channels, so that neighbouring threads read neighbouring memory.
#include "element.h"

namespace dff {

extern "C" __global__ void dff_aggregate_compare(AggregateShape s, const float* __restrict__ embedding, const float* __restrict__ query,
                                                 const float* __restrict__ flow, float* __restrict__ cosine,
                                                 float* __restrict__ inverse_embedding, float* __restrict__ inverse_query) {
  const int plane = s.plane(), place = blockIdx.x * blockDim.x + threadIdx.x, map = blockIdx.z, n = map % s.images;
  if (place >= plane) return;
  const WarpTap tap = place_tap(s, flow, map, place);
  const float* cells = embedding + static_cast<size_t>(map) * s.embedding * plane;
  const float* own = query + static_cast<size_t>(n) * s.embedding * plane + place;
  float product = 0.0f, square = 0.0f, own_square = 0.0f;
  for (int channel = 0; channel < s.embedding; ++channel, cells += plane, own += plane) {
    const float value = tap.weight[0] * cells[tap.offset[0]] + tap.weight[1] * cells[tap.offset[1]] +
                        tap.weight[2] * cells[tap.offset[2]] + tap.weight[3] * cells[tap.offset[3]];
    product += value * own[0];
    square += value * value;
    own_square += own[0] * own[0];
  }
  const size_t at = static_cast<size_t>(map) * plane + place;
  inverse_embedding[at] = inverse_length(square);
  cosine[at] = product * (inverse_embedding[at] * inverse_length(own_square));
  if (map == n) inverse_query[at] = inverse_length(own_square);
}

extern "C" __global__ void dff_aggregate_weights(AggregateShape s, const float* __restrict__ cosine, float* __restrict__ weight) {
  const size_t images = static_cast<size_t>(s.images) * s.plane(), at = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at < images) frame_weights(s.frames, images, cosine + at, weight + at);
}

extern "C" __global__ void dff_aggregate_forward(AggregateShape s, const float* __restrict__ feature, const float* __restrict__ flow,
                                                 const float* __restrict__ weight, float* __restrict__ out) {
  const int plane = s.plane(), place = blockIdx.x * blockDim.x + threadIdx.x, n = blockIdx.z;
  if (place >= plane) return;
  const int first = blockIdx.y * kAggregateChannels, count = min_int(kAggregateChannels, s.channels - first);
  float sum[kAggregateChannels] = {0};
  for (int map = n; map < s.maps(); map += s.images) {
    const WarpTap tap = place_tap(s, flow, map, place);
    const float share = weight[static_cast<size_t>(map) * plane + place];
    for (int k = 0; k < count; ++k) {
      const float* cells = feature + (static_cast<size_t>(map) * s.channels + first + k) * plane;
      sum[k] += share * (tap.weight[0] * cells[tap.offset[0]] + tap.weight[1] * cells[tap.offset[1]] +
                         tap.weight[2] * cells[tap.offset[2]] + tap.weight[3] * cells[tap.offset[3]]);
    }
  }
  for (int k = 0; k < count; ++k) out[(static_cast<size_t>(n) * s.channels + first + k) * plane + place] = sum[k];
}

// Sends the gradient of a warped value to the cells that it was read from, and adds what it means to the flow.
__device__ __forceinline__ void send_back(const WarpTap& tap, float gradient, const float* cells, float* grad_cells, float* flow_x, float* flow_y) {
  for (int k = 0; k < 4; ++k) {
    *flow_x += tap.slope_x[k] * cells[tap.offset[k]] * gradient;
    *flow_y += tap.slope_y[k] * cells[tap.offset[k]] * gradient;
    if (tap.weight[k] != 0.0f && reads_map(tap)) atomicAdd(grad_cells + tap.offset[k], tap.weight[k] * gradient);
  }
}

// grad_feature, share and grad_flow must be 0 on entry: several threads add to them.
extern "C" __global__ void dff_aggregate_feature_gradient(AggregateShape s, const float* __restrict__ grad_out,
                                                          const float* __restrict__ feature, const float* __restrict__ flow,
                                                          const float* __restrict__ weight, float* share, float* grad_feature,
                                                          float* grad_flow) {
  const int plane = s.plane(), place = blockIdx.x * blockDim.x + threadIdx.x, map = blockIdx.z;
  if (place >= plane) return;
  const WarpTap tap = place_tap(s, flow, map, place);
  const size_t at = static_cast<size_t>(map) * plane + place;
  const int first = blockIdx.y * kAggregateChannels, last = min_int(first + kAggregateChannels, s.channels);
  float sum = 0.0f, flow_x = 0.0f, flow_y = 0.0f;
  for (int channel = first; channel < last; ++channel) {
    const size_t here = (static_cast<size_t>(map) * s.channels + channel) * plane;
    const float* cells = feature + here;
    const float gradient = grad_out[(static_cast<size_t>(map % s.images) * s.channels + channel) * plane + place];
    sum += gradient * (tap.weight[0] * cells[tap.offset[0]] + tap.weight[1] * cells[tap.offset[1]] +
                       tap.weight[2] * cells[tap.offset[2]] + tap.weight[3] * cells[tap.offset[3]]);
    send_back(tap, weight[at] * gradient, cells, grad_feature + here, &flow_x, &flow_y);
  }
  atomicAdd(share + at, sum);
  if (flow) {
    atomicAdd(grad_flow + static_cast<size_t>(map) * 2 * plane + place, flow_x);
    atomicAdd(grad_flow + (static_cast<size_t>(map) * 2 + 1) * plane + place, flow_y);
  }
}

extern "C" __global__ void dff_aggregate_cosine_gradient(AggregateShape s, const float* __restrict__ weight, float* share) {
  const size_t images = static_cast<size_t>(s.images) * s.plane(), at = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at < images) cosine_gradient(s.frames, images, weight + at, share + at);
}

// grad_embedding and grad_query must be 0 on entry; to grad_flow it adds.
extern "C" __global__ void dff_aggregate_embedding_gradient(AggregateShape s, const float* __restrict__ embedding,
                                                            const float* __restrict__ query, const float* __restrict__ flow,
                                                            const float* __restrict__ gradient, const float* __restrict__ cosine,
                                                            const float* __restrict__ inverse_embedding,
                                                            const float* __restrict__ inverse_query, float* grad_embedding,
                                                            float* grad_query, float* grad_flow) {
  const int plane = s.plane(), place = blockIdx.x * blockDim.x + threadIdx.x, map = blockIdx.z, n = map % s.images;
  if (place >= plane) return;
  const WarpTap tap = place_tap(s, flow, map, place);
  const size_t at = static_cast<size_t>(map) * plane + place;
  const CosineSlopes slopes = cosine_slopes(gradient[at], cosine[at], inverse_embedding[at], inverse_query[n * plane + place]);
  const int first = blockIdx.y * kAggregateChannels, last = min_int(first + kAggregateChannels, s.embedding);
  float flow_x = 0.0f, flow_y = 0.0f;
  for (int channel = first; channel < last; ++channel) {
    const size_t here = (static_cast<size_t>(map) * s.embedding + channel) * plane;
    const size_t own = (static_cast<size_t>(n) * s.embedding + channel) * plane + place;
    const float* cells = embedding + here;
    const float value = tap.weight[0] * cells[tap.offset[0]] + tap.weight[1] * cells[tap.offset[1]] +
                        tap.weight[2] * cells[tap.offset[2]] + tap.weight[3] * cells[tap.offset[3]];
    atomicAdd(grad_query + own, slopes.other * value - slopes.own_query * query[own]);
    send_back(tap, slopes.other * query[own] - slopes.own_embedding * value, cells, grad_embedding + here, &flow_x, &flow_y);
  }
  if (flow) {
    atomicAdd(grad_flow + static_cast<size_t>(map) * 2 * plane + place, flow_x);
    atomicAdd(grad_flow + (static_cast<size_t>(map) * 2 + 1) * plane + place, flow_y);
  }
}

}  // namespace dff
