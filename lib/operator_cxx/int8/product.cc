#include "product.h"

#include <string.h>

#include "../common/cpu.h"
#include "bytes.h"

#ifdef DFF_VNNI
#include <immintrin.h>
#endif

namespace dff {
namespace {

#ifdef DFF_VNNI
typedef void (*Kernel)(const Int8Tile& tile, int32_t* out);

DFF_INLINE int32_t four_bytes(const uint8_t* from) {
  int32_t value;
  memcpy(&value, from, sizeof(value));
  return value;
}

// One or two registers of 16 filters for each place.
template <int kRows, int kHalves>
__attribute__((target("avx512f,avx512vnni"))) void vnni_product(const Int8Tile& t, int32_t* out) {
  __m512i sum[kRows][kHalves];
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) sum[r][0] = sum[r][kHalves - 1] = _mm512_setzero_si512();
  const int8_t* weight = t.weight;
  const size_t step = t.step;
  for (int tap = 0; tap < t.tap_count; ++tap) {
    const uint8_t *a = t.in + t.taps[tap], *b = a + 4 * step, *c = a + 8 * step;
    for (int k = 0; k < t.run; k += kInt8Group) {
      const __m512i w0 = _mm512_loadu_si512(weight), w1 = _mm512_loadu_si512(weight + 64);
      weight += kInt8Panel * kInt8Group;
#pragma GCC unroll 12
      for (int r = 0; r < kRows; ++r) {
        const uint8_t* from = (r < 4 ? a : r < 8 ? b : c) + (r % 4) * step + k;
        const __m512i value = _mm512_set1_epi32(four_bytes(from));
        sum[r][0] = _mm512_dpbusd_epi32(sum[r][0], value, w0);
        if (kHalves > 1) sum[r][kHalves - 1] = _mm512_dpbusd_epi32(sum[r][kHalves - 1], value, w1);
      }
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
    _mm512_storeu_si512(out + r * kInt8Panel, sum[r][0]);
    _mm512_storeu_si512(out + r * kInt8Panel + 16, kHalves > 1 ? sum[r][kHalves - 1] : _mm512_setzero_si512());
  }
}

__attribute__((target("avx512f"))) void avx512_tail(const Int8Tail& t, const int32_t* sums, const uint8_t* other, uint8_t* bytes,
                                                    float* values) {
  const __m512 none = _mm512_setzero_ps();
#pragma GCC unroll 2
  for (int f = 0; f < kInt8Panel; f += 16) {
    __m512 value = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_loadu_si512(sums + f)), _mm512_loadu_ps(t.scale + f));
    value = _mm512_add_ps(value, _mm512_loadu_ps(t.shift + f));
    if (other) {
      const __m512i raw = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(other + f)));
      const __m512 more = _mm512_sub_ps(_mm512_cvtepi32_ps(raw), _mm512_set1_ps(t.other_zero));
      value = _mm512_add_ps(value, _mm512_mul_ps(more, _mm512_set1_ps(t.other_scale)));
    }
    const __mmask16 above = _mm512_cmp_ps_mask(value, none, _CMP_GT_OQ);
    value = _mm512_mask_blend_ps(above, _mm512_mul_ps(value, _mm512_set1_ps(t.slope)), value);
    if (!bytes) {
      _mm512_storeu_ps(values + f, value);
      continue;
    }
    // Of what is no number the larger one is 0.
    value = _mm512_max_ps(_mm512_add_ps(value, _mm512_set1_ps(t.zero)), none);
    value = _mm512_min_ps(value, _mm512_set1_ps(255.0f));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(bytes + f), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(value)));
  }
}

#define DFF_KERNELS(n) {vnni_product<n, 1>, vnni_product<n, 2>}
const Kernel kVnni[kInt8Rows][2] = {DFF_KERNELS(1), DFF_KERNELS(2), DFF_KERNELS(3), DFF_KERNELS(4),  DFF_KERNELS(5),  DFF_KERNELS(6),
                                    DFF_KERNELS(7), DFF_KERNELS(8), DFF_KERNELS(9), DFF_KERNELS(10), DFF_KERNELS(11), DFF_KERNELS(12)};
#undef DFF_KERNELS
#endif

}  // namespace

DFF_CLONES void int8_product_plain(const Int8Tile& t, int rows, int32_t* out) {
  for (int r = 0; r < rows; ++r) {
    int32_t sum[kInt8Panel] = {0};
    const int8_t* weight = t.weight;
    for (int tap = 0; tap < t.tap_count; ++tap) {
      const uint8_t* in = t.in + r * t.step + t.taps[tap];
      for (int k = 0; k < t.run; k += kInt8Group) {
        for (int f = 0; f < kInt8Panel; ++f) {
          for (int c = 0; c < kInt8Group; ++c) sum[f] += in[k + c] * weight[f * kInt8Group + c];
        }
        weight += kInt8Panel * kInt8Group;
      }
    }
    memcpy(out + r * kInt8Panel, sum, sizeof(sum));
  }
}

void int8_product(const Int8Tile& tile, int rows, int32_t* out) {
#ifdef DFF_VNNI
  static const bool is_fast = dff_int8_is_fast() != 0;
  if (is_fast) return kVnni[rows - 1][tile.filters > kInt8Panel / 2](tile, out);
#endif
  int8_product_plain(tile, rows, out);
}

void int8_tail_plain(const Int8Tail& t, const int32_t* sums, const uint8_t* other, uint8_t* bytes, float* values) {
  for (int f = 0; f < kInt8Panel; ++f) {
    float value = static_cast<float>(sums[f]) * t.scale[f] + t.shift[f];
    if (other) value += (static_cast<float>(other[f]) - t.other_zero) * t.other_scale;
    const float low = value * t.slope;
    value = value > 0 ? value : low;
    if (!bytes) {
      values[f] = value;
      continue;
    }
    bytes[f] = static_cast<uint8_t>(nearest_byte(value + t.zero));
  }
}

void int8_tail(const Int8Tail& tail, const int32_t* sums, const uint8_t* other, uint8_t* bytes, float* values) {
#ifdef DFF_VNNI
  static const bool is_fast = dff_int8_is_fast() != 0;
  if (is_fast) return avx512_tail(tail, sums, other, bytes, values);
#endif
  int8_tail_plain(tail, sums, other, bytes, values);
}

}  // namespace dff

int dff_int8_is_fast() {
#ifdef DFF_VNNI
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vnni");
#else
  return 0;
#endif
}
