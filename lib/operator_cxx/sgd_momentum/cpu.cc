#include "cpu.h"

#include "../common/cpu.h"

namespace dff {
namespace {

DFF_CLONES void step(size_t size, const float* __restrict__ gradient, float rate, float decay, float momentum, float rescale, float clip,
                     float* __restrict__ weight, float* __restrict__ state) {
  for (size_t i = 0; i < size; ++i) {
    float g = rescale * gradient[i];
    g = g > clip ? clip : g < -clip ? -clip : g;  // NaN stays, so that it shows in training
    state[i] = momentum * state[i] - rate * decay * weight[i] - rate * g;
    weight[i] += state[i];
  }
}

}  // namespace
}  // namespace dff

void dff_sgd_momentum(size_t size, const float* gradient, float rate, float decay, float momentum, float rescale, float clip,
                      float* weight, float* state) {
  dff::step(size, gradient, rate, decay, momentum, rescale, clip, weight, state);
}
