#include "cpu.h"

#include <omp.h>

#include <algorithm>
#include <numeric>
#include <system_error>
#include <thread>
#include <vector>

#include "../common/cpu.h"

namespace dff {
namespace {

const size_t kShare = 250000;  // numbers that are worth a thread of their own, which takes tens of microseconds to start

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
  const size_t total = std::accumulate(sizes, sizes + count, size_t(0));
  const size_t threads = std::min<size_t>(omp_get_max_threads(), 1 + total / dff::kShare);
  // Every thread takes its part of each array.
  const auto work = [=](size_t thread) {
    for (size_t i = 0; i < count; ++i) {
      const size_t begin = sizes[i] * thread / threads, end = sizes[i] * (thread + 1) / threads;
      dff::step(end - begin, gradients[i] + begin, rates[i], decays[i], momentum, rescale, clip, weights[i] + begin, states[i] + begin);
    }
  };
  // Not OpenMP's: the caller would get a team of its own, and with more threads than cores libgomp lets those of MXNet sleep between layers.
  std::vector<std::thread> others;
  for (size_t thread = 1; thread < threads; ++thread) {
    try {
      others.emplace_back(work, thread);
    } catch (const std::system_error&) {  // the system has no thread left: no reason to lose a training run
      work(thread);
    }
  }
  work(0);
  for (std::thread& other : others) other.join();
}
