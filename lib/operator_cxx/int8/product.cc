#include "product.h"

#include <string.h>

#include "../common/cpu.h"

#if defined(__x86_64__) && ((defined(__clang__) && __clang_major__ >= 7) || (!defined(__clang__) && defined(__GNUC__) && __GNUC__ >= 8))
#include <immintrin.h>
#define DFF_VNNI 1
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

// Two registers of 16 filters for each place.
template <int kRows>
__attribute__((target("avx512f,avx512vnni"))) void vnni_product(const Int8Tile& t, int32_t* out) {
  __m512i sum[kRows][2];
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) sum[r][0] = sum[r][1] = _mm512_setzero_si512();
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
        sum[r][1] = _mm512_dpbusd_epi32(sum[r][1], value, w1);
      }
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
    _mm512_storeu_si512(out + r * kInt8Panel, sum[r][0]);
    _mm512_storeu_si512(out + r * kInt8Panel + 16, sum[r][1]);
  }
}

const Kernel kVnni[kInt8Rows] = {vnni_product<1>, vnni_product<2>, vnni_product<3>, vnni_product<4>,
                                 vnni_product<5>, vnni_product<6>, vnni_product<7>, vnni_product<8>,
                                 vnni_product<9>, vnni_product<10>, vnni_product<11>, vnni_product<12>};
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
  if (is_fast) return kVnni[rows - 1](tile, out);
#endif
  int8_product_plain(tile, rows, out);
}

}  // namespace dff

int dff_int8_is_fast() {
#ifdef DFF_VNNI
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vnni");
#else
  return 0;
#endif
}
