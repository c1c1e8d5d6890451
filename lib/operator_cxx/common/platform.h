// What the CPU kernels, the CUDA kernels and NVRTC (which has no standard headers) compile alike.
#pragma once

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
#define DFF_SHARED __host__ __device__ __forceinline__
#else
#define DFF_SHARED inline
#include <math.h>
#endif

namespace dff {

DFF_SHARED int min_int(int a, int b) { return a < b ? a : b; }
DFF_SHARED int max_int(int a, int b) { return a > b ? a : b; }

// A float that is already integral, as an int in [0, limit]; NaN gives 0.  A plain cast of NaN, infinity or a large
// value is undefined behaviour.
DFF_SHARED int clamp_to_int(float value, int limit) {
  if (!(value > 0.0f)) return 0;
  return value < static_cast<float>(limit) ? static_cast<int>(value) : limit;
}

}  // namespace dff
