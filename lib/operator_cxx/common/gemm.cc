#include "gemm.h"

#include <algorithm>
#include <vector>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define DFF_X86 1
#endif

namespace dff {
namespace {

const int kPanel = 16;
const int kDepth = 256;  // depth taken at a time: a panel of it stays in the first-level cache

// Six rows of `panels` side by side: out = (first ? 0 : out) + a * b over `depth`.
typedef void (*Kernel)(const float* a, size_t a_pitch, int depth, const float* b, size_t b_pitch, bool first, float* out,
                       size_t out_pitch);

void plain_kernel(const float* a, size_t a_pitch, int depth, const float* b, size_t, bool first, float* out, size_t out_pitch) {
  for (int r = 0; r < kGemmRows; ++r) {
    float sum[kPanel] = {0};
    for (int k = 0; k < depth; ++k) {
      for (int c = 0; c < kPanel; ++c) sum[c] += a[r * a_pitch + k] * b[k * kPanel + c];
    }
    for (int c = 0; c < kPanel; ++c) out[r * out_pitch + c] = sum[c] + (first ? 0.0f : out[r * out_pitch + c]);
  }
}

#ifdef DFF_X86
__attribute__((target("avx2,fma"))) void avx2_kernel(const float* a, size_t a_pitch, int depth, const float* b, size_t, bool first,
                                                      float* out, size_t out_pitch) {
  __m256 sum[kGemmRows][2];
#pragma GCC unroll 6
  for (int r = 0; r < kGemmRows; ++r) {
#pragma GCC unroll 2
    for (int h = 0; h < 2; ++h) sum[r][h] = first ? _mm256_setzero_ps() : _mm256_loadu_ps(out + r * out_pitch + 8 * h);
  }
  for (int k = 0; k < depth; ++k) {
    const __m256 b0 = _mm256_loadu_ps(b + k * kPanel), b1 = _mm256_loadu_ps(b + k * kPanel + 8);
#pragma GCC unroll 6
    for (int r = 0; r < kGemmRows; ++r) {
      const __m256 value = _mm256_broadcast_ss(a + r * a_pitch + k);
      sum[r][0] = _mm256_fmadd_ps(value, b0, sum[r][0]);
      sum[r][1] = _mm256_fmadd_ps(value, b1, sum[r][1]);
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < kGemmRows; ++r) {
#pragma GCC unroll 2
    for (int h = 0; h < 2; ++h) _mm256_storeu_ps(out + r * out_pitch + 8 * h, sum[r][h]);
  }
}

// `kSide` panels, a register each: four take most of the 32 registers there are.
template <int kSide>
__attribute__((target("avx512f"))) void avx512_kernel(const float* a, size_t a_pitch, int depth, const float* b, size_t b_pitch,
                                                       bool first, float* out, size_t out_pitch) {
  __m512 sum[kGemmRows][kSide];
#pragma GCC unroll 6
  for (int r = 0; r < kGemmRows; ++r) {
#pragma GCC unroll 4
    for (int h = 0; h < kSide; ++h) sum[r][h] = first ? _mm512_setzero_ps() : _mm512_loadu_ps(out + r * out_pitch + kPanel * h);
  }
  for (int k = 0; k < depth; ++k) {
    __m512 columns[kSide];
#pragma GCC unroll 4
    for (int h = 0; h < kSide; ++h) columns[h] = _mm512_loadu_ps(b + h * b_pitch + k * kPanel);
#pragma GCC unroll 6
    for (int r = 0; r < kGemmRows; ++r) {
      const __m512 value = _mm512_set1_ps(a[r * a_pitch + k]);
#pragma GCC unroll 4
      for (int h = 0; h < kSide; ++h) sum[r][h] = _mm512_fmadd_ps(value, columns[h], sum[r][h]);
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < kGemmRows; ++r) {
#pragma GCC unroll 4
    for (int h = 0; h < kSide; ++h) _mm512_storeu_ps(out + r * out_pitch + kPanel * h, sum[r][h]);
  }
}
#endif

// A kernel, and how many panels it takes at a time.
struct Choice {
  int panels;
  Kernel kernel;
};

// What this processor has, the widest first; the last takes one panel.
std::vector<Choice> choices() {
  std::vector<Choice> found;
#ifdef DFF_X86
  const bool fma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (fma && __builtin_cpu_supports("avx512f")) {
    found.push_back({4, avx512_kernel<4>});
    found.push_back({2, avx512_kernel<2>});
  }
  if (fma) found.push_back({1, avx2_kernel});
#endif
  found.push_back({1, plain_kernel});
  return found;
}

}  // namespace

void multiply(const float* a, size_t a_pitch, int rows, int depth, const float* b, int panels, float* out, size_t out_pitch) {
  static const std::vector<Choice> kernels = choices();
  const size_t b_pitch = static_cast<size_t>(depth) * kPanel;
  for (int k = 0; k < depth; k += kDepth) {
    const int part = std::min(kDepth, depth - k);
    std::vector<Choice>::const_iterator choice = kernels.begin();
    for (int panel = 0; panel < panels; panel += choice->panels) {
      while (choice->panels > panels - panel) ++choice;
      for (int r = 0; r < rows; r += kGemmRows) {
        choice->kernel(a + r * a_pitch + k, a_pitch, part, b + panel * b_pitch + static_cast<size_t>(k) * kPanel, b_pitch, k == 0,
                       out + r * out_pitch + panel * kPanel, out_pitch);
      }
    }
  }
}

}  // namespace dff
