#include "cpu.h"

#include <omp.h>

#include <thread>
#include <vector>

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

void dff_sgd_momentum(size_t count, const size_t* sizes, const float* const* gradients, const float* rates, const float* decays,
                      float momentum, float rescale, float clip, float* const* weights, float* const* states) {
  const size_t threads = omp_get_max_threads();
  // Every thread takes its part of each array.
  const auto work = [=](size_t thread) {
    for (size_t i = 0; i < count; ++i) {
      const size_t begin = sizes[i] * thread / threads, end = sizes[i] * (thread + 1) / threads;
      dff::step(end - begin, gradients[i] + begin, rates[i], decays[i], momentum, rescale, clip, weights[i] + begin, states[i] + begin);
    }
  };
  // Not OpenMP's: the caller would get a team of its own, and with more threads than cores libgomp lets those of MXNet sleep between layers.
  std::vector<std::thread> others;
  for (size_t thread = 1; thread < threads; ++thread) others.emplace_back(work, thread);
  work(0);
  for (std::thread& other : others) other.join();
}
