// The arithmetic of one place of the aggregation: code that the CPU and the CUDA kernels share.
#pragma once
#include "../flow_warp/element.h"

namespace dff {

struct AggregateShape {
  int frames, images;  // maps come frame by frame: map = frame * images + image
  int channels, embedding, height, width;

  DFF_SHARED int maps() const { return frames * images; }
  DFF_SHARED int plane() const { return height * width; }
};

const float kNormEpsilon = 1e-10f;  // as of MXNet's L2Normalization

const int kAggregateChannels = 8;  // that one thread of the GPU takes

// 1 / the length of a vector, from the sum of its squares.
DFF_SHARED float inverse_length(float squares) { return 1.0f / sqrtf(squares + kNormEpsilon); }

// What one place of a map reads; without a flow, itself.
DFF_SHARED WarpTap place_tap(const AggregateShape& s, const float* flow, int map, int place) {
  const float* at = flow ? flow + static_cast<size_t>(map) * 2 * s.plane() + place : nullptr;
  return warp_tap(place % s.width, place / s.width, at ? at[0] : 0.0f, at ? at[s.plane()] : 0.0f, s.height, s.width);
}

// Turns the cosines of all frames at one place into weights that sum to 1. Cosines are at most 1: no exponential is too large.
// `step`: from one frame to the next.
DFF_SHARED void frame_weights(int frames, size_t step, const float* cosine, float* weight) {
  float sum = 0.0f;
  for (int frame = 0; frame < frames; ++frame) {
    weight[frame * step] = expf(cosine[frame * step]);
    sum += weight[frame * step];
  }
  for (int frame = 0; frame < frames; ++frame) weight[frame * step] /= sum;
}

// The gradient of the cosines from `share`, grad_out . warped feature of each frame, in its place.
DFF_SHARED void cosine_gradient(int frames, size_t step, const float* weight, float* share) {
  float mean = 0.0f;
  for (int frame = 0; frame < frames; ++frame) mean += weight[frame * step] * share[frame * step];
  for (int frame = 0; frame < frames; ++frame) share[frame * step] = weight[frame * step] * (share[frame * step] - mean);
}

// By how much query and embedding count in each other's gradient, and each in its own, for one place of one map.
struct CosineSlopes {
  float other, own_embedding, own_query;
};

DFF_SHARED CosineSlopes cosine_slopes(float gradient, float cosine, float inverse_embedding, float inverse_query) {
  return {gradient * inverse_embedding * inverse_query, gradient * cosine * inverse_embedding * inverse_embedding,
          gradient * cosine * inverse_query * inverse_query};
}

}  // namespace dff
