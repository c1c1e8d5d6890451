// Runs CUDA kernels on the CPU, thread by thread, for tests of their logic where there is no GPU.
// Every thread of a block is a fibre of its own; __syncthreads() passes control to the next.
#pragma once
#include <ucontext.h>

#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#define __global__
#define __device__
#define __forceinline__ inline
#define __shared__ static

struct Index {
  unsigned int x, y, z;
};
static Index blockIdx, threadIdx, blockDim, gridDim;

inline float atomicAdd(float* at, float value) {
  const float before = *at;
  *at += value;
  return before;
}

namespace emulation {

const size_t kStack = 64 * 1024;

struct Fibre {
  ucontext_t context;
  std::vector<char> stack;
  bool done;
};

static ucontext_t scheduler;
static std::vector<Fibre> fibres;
static unsigned int current;
static const std::function<void()>* body;

inline void enter() {
  (*body)();
  fibres[current].done = true;
}

// Runs `kernel` once for every thread of one block.
inline void run_block(const std::function<void()>& kernel, unsigned int threads) {
  if (fibres.size() < threads) fibres.resize(threads);
  body = &kernel;
  for (unsigned int t = 0; t < threads; ++t) {
    Fibre& fibre = fibres[t];
    fibre.stack.resize(kStack);
    fibre.done = false;
    getcontext(&fibre.context);
    fibre.context.uc_stack.ss_sp = fibre.stack.data();
    fibre.context.uc_stack.ss_size = kStack;
    fibre.context.uc_link = &scheduler;
    makecontext(&fibre.context, enter, 0);
  }
  for (bool any = true; any;) {
    any = false;
    for (unsigned int t = 0; t < threads; ++t) {
      if (fibres[t].done) continue;
      current = t;
      threadIdx = {t, 0, 0};
      swapcontext(&scheduler, &fibres[t].context);
      any = any || !fibres[t].done;
    }
  }
}

typedef std::function<void(void**)> Kernel;

template <typename... Arguments, size_t... I>
Kernel unpack(void (*function)(Arguments...), std::index_sequence<I...>) {
  return [function](void** arguments) { function(*static_cast<Arguments*>(arguments[I])...); };
}

// A kernel that takes its arguments as cuLaunchKernel does.
template <typename... Arguments>
Kernel wrap(void (*function)(Arguments...)) {
  return unpack(function, std::index_sequence_for<Arguments...>());
}

static std::map<std::string, Kernel> kernels;

inline void launch(const std::string& name, Index grid, unsigned int threads, void** arguments) {
  if (!kernels.count(name)) throw std::runtime_error("no kernel " + name);
  if (threads > 1024) throw std::runtime_error(name + ": too many threads");
  gridDim = grid;
  blockDim = {threads, 1, 1};
  const std::function<void()> kernel = [&] { kernels[name](arguments); };
  for (unsigned int z = 0; z < grid.z; ++z) {
    for (unsigned int y = 0; y < grid.y; ++y) {
      for (unsigned int x = 0; x < grid.x; ++x) {
        blockIdx = {x, y, z};
        run_block(kernel, threads);
      }
    }
  }
}

}  // namespace emulation

inline void __syncthreads() { swapcontext(&emulation::fibres[emulation::current].context, &emulation::scheduler); }
