#include "gpu.h"

namespace dff {
namespace {

const unsigned int kThreads = 128;

// Parts of the workspace, floats of [maps, plane], and inverse_query of [images, plane].
struct Places {
  float *cosine, *inverse_embedding, *weight, *share, *inverse_query;
};

Places places_of(const AggregateShape& s, void* workspace) {
  const size_t size = static_cast<size_t>(s.maps()) * s.plane();
  float* all = static_cast<float*>(workspace);
  return {all, all + size, all + 2 * size, all + 3 * size, all + 4 * size};
}

Grid grid_of(const AggregateShape& s, int channels, int maps) {
  return {blocks_for(s.plane(), kThreads), blocks_for(channels, kAggregateChannels), static_cast<unsigned int>(maps)};
}

Grid grid_of_images(const AggregateShape& s) { return {blocks_for(static_cast<size_t>(s.images) * s.plane(), kThreads), 1, 1}; }

void compare(GpuQueue queue, const AggregateShape& s, const AggregateInputs& in, const Places& places) {
  queue.launch("dff_aggregate_compare", grid_of(s, 1, s.maps()), kThreads, s, in.embedding, in.query, in.flow, places.cosine,
               places.inverse_embedding, places.inverse_query);
  const float* cosine = places.cosine;
  queue.launch("dff_aggregate_weights", grid_of_images(s), kThreads, s, cosine, places.weight);
}

}  // namespace

void aggregate_forward_gpu(GpuQueue queue, const AggregateShape& s, const AggregateInputs& in, void* workspace, float* out) {
  const Places places = places_of(s, workspace);
  compare(queue, s, in, places);
  const float* weight = places.weight;
  queue.launch("dff_aggregate_forward", grid_of(s, s.channels, s.images), kThreads, s, in.feature, in.flow, weight, out);
}

void aggregate_backward_gpu(GpuQueue queue, const AggregateShape& s, const float* grad_out, const AggregateInputs& in,
                            void* workspace, const AggregateGradients& grad) {
  const size_t plane = sizeof(float) * s.plane();
  const Places places = places_of(s, workspace);
  const float *weight = places.weight, *share = places.share, *cosine = places.cosine;
  const float *inverse_embedding = places.inverse_embedding, *inverse_query = places.inverse_query;
  compare(queue, s, in, places);
  queue.zero(places.share, plane * s.maps());
  queue.zero(grad.feature, plane * s.channels * s.maps());
  queue.zero(grad.embedding, plane * s.embedding * s.maps());
  queue.zero(grad.query, plane * s.embedding * s.images);
  if (in.flow) queue.zero(grad.flow, plane * 2 * s.maps());
  queue.launch("dff_aggregate_feature_gradient", grid_of(s, s.channels, s.maps()), kThreads, s, grad_out, in.feature, in.flow,
               weight, places.share, grad.feature, grad.flow);
  queue.launch("dff_aggregate_cosine_gradient", grid_of_images(s), kThreads, s, weight, places.share);
  queue.launch("dff_aggregate_embedding_gradient", grid_of(s, s.embedding, s.maps()), kThreads, s, in.embedding, in.query, in.flow,
               share, cosine, inverse_embedding, inverse_query, grad.embedding, grad.query, grad.flow);
}

}  // namespace dff
