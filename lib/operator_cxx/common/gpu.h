// The host side of the CUDA kernels: launches on the stream that MXNet gives, through the driver API.
// No CUDA runtime is linked; libcuda is opened at the first launch, so that the library loads on machines without a GPU.
#pragma once
#include <stddef.h>

namespace dff {

struct Grid {
  unsigned int x, y, z;
};

class GpuQueue {
 public:
  // stream: MXNet's cudaStream_t (which is the driver's CUstream); the calling thread's current context owns it.
  explicit GpuQueue(void* stream) : stream_(stream) {}

  // Starts kernel `name` on grid.x * grid.y * grid.z blocks of `threads`; the arguments must have the kernel's exact types.
  // An empty grid is no launch.  Throws std::runtime_error.
  template <typename... Arguments>
  void launch(const char* name, Grid grid, unsigned int threads, Arguments... arguments) {
    void* pointers[] = {const_cast<void*>(static_cast<const void*>(&arguments))...};
    if (grid.x && grid.y && grid.z) run(name, grid, threads, pointers);
  }

  // Sets device memory to 0.  Throws std::runtime_error.
  void zero(void* memory, size_t bytes);

 private:
  void run(const char* name, Grid grid, unsigned int threads, void** arguments);
  void* stream_;
};

// Blocks of `size` that cover `count`.
inline unsigned int blocks_for(size_t count, size_t size) { return static_cast<unsigned int>((count + size - 1) / size); }

}  // namespace dff
