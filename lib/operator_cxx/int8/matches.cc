// Correlation of two maps of bytes; the maths is in README.md beside this file.
#include <string.h>

#include "../common/cpu.h"
#include "../common/parallel.h"
#include "bytes.h"
#include "features.h"
#include "product.h"

#ifdef DFF_VNNI
#include <immintrin.h>
#endif

namespace dff {
namespace {

const int kCells = 16;   // that follow one another in a row, computed at once
const int kPlanes = 3;   // displacements along x that are, too

enum { kCurrent, kReference };  // scratch slots of int16_t

// Rows of pairs of channels, [rows][channels / 2][pitch][2], with zeros around: `border` rows and columns, and to whole vectors.
struct Pairs {
  int border, pitch;
  size_t row;  // int16_t of one
  explicit Pairs(const CorrelationShape& s)
      : border(s.displacement), pitch((s.width + kCells - 1) / kCells * kCells + 2 * border), row(static_cast<size_t>(s.channels) * pitch) {}
};

// Values less `zero` of an image, [H, W, C].
void fill(const CorrelationShape& s, const Pairs& p, const uint8_t* map, int zero, int16_t* to) {
#pragma omp parallel for
  for (int y = -p.border; y < s.height + p.border; ++y) {
    int16_t* row = to + (y + p.border) * p.row;
    memset(row, 0, p.row * sizeof(int16_t));
    if (y < 0 || y >= s.height) continue;
    for (int x = 0; x < s.width; ++x) {
      const uint8_t* from = map + (static_cast<size_t>(y) * s.width + x) * s.channels;
      int16_t* cell = row + 2 * (x + p.border);
      for (int c = 0; c < s.channels; ++c) cell[static_cast<size_t>(c / 2) * 2 * p.pitch + c % 2] = static_cast<int16_t>(from[c] - zero);
    }
  }
}

// What becomes of a plane's sums: bytes[cell].
void finish(const int32_t* sums, const Int8Matching& how, uint8_t* bytes) {
  for (int i = 0; i < kCells; ++i) {
    const float value = static_cast<float>(sums[i]) * how.factor;
    bytes[i] = static_cast<uint8_t>(nearest_byte((value > 0.0f ? value : value * how.slope) + static_cast<float>(how.zero)));
  }
}

// bytes[plane][cell] of `planes` displacements; pairs of channels lie 2 * pitch apart.
void match_plain(const int16_t* current, const int16_t* reference, int pairs, int pitch, int planes, const Int8Matching& how, uint8_t* bytes) {
  for (int k = 0; k < planes; ++k, reference += 2) {
    int32_t sums[kCells] = {0};
    for (int pair = 0; pair < pairs; ++pair) {
      const int16_t *a = current + static_cast<size_t>(pair) * 2 * pitch, *b = reference + static_cast<size_t>(pair) * 2 * pitch;
      for (int i = 0; i < kCells; ++i) sums[i] += a[2 * i] * b[2 * i] + a[2 * i + 1] * b[2 * i + 1];
    }
    finish(sums, how, bytes + k * kCells);
  }
}

#ifdef DFF_VNNI
template <int kCount>
__attribute__((target("avx512f,avx512vnni"))) void match_vnni(const int16_t* current, const int16_t* reference, int pairs, int pitch,
                                                              const Int8Matching& how, uint8_t* bytes) {
  __m512i sum[kCount];
#pragma GCC unroll 3
  for (int k = 0; k < kCount; ++k) sum[k] = _mm512_setzero_si512();
  for (int pair = 0; pair < pairs; ++pair, current += 2 * pitch, reference += 2 * pitch) {
    const __m512i value = _mm512_loadu_si512(current);
#pragma GCC unroll 3
    for (int k = 0; k < kCount; ++k) sum[k] = _mm512_dpwssd_epi32(sum[k], value, _mm512_loadu_si512(reference + 2 * k));
  }
  const __m512 none = _mm512_setzero_ps();
#pragma GCC unroll 3
  for (int k = 0; k < kCount; ++k) {
    __m512 value = _mm512_mul_ps(_mm512_cvtepi32_ps(sum[k]), _mm512_set1_ps(how.factor));
    const __mmask16 above = _mm512_cmp_ps_mask(value, none, _CMP_GT_OQ);
    value = _mm512_mask_blend_ps(above, _mm512_mul_ps(value, _mm512_set1_ps(how.slope)), value);
    value = _mm512_max_ps(_mm512_add_ps(value, _mm512_set1_ps(static_cast<float>(how.zero))), none);
    value = _mm512_min_ps(value, _mm512_set1_ps(255.0f));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(bytes + k * kCells), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(value)));
  }
}
#endif

void match(const int16_t* current, const int16_t* reference, int pairs, int pitch, int planes, const Int8Matching& how, uint8_t* bytes) {
#ifdef DFF_VNNI
  static const bool is_fast = dff_int8_is_fast() != 0;
  if (is_fast && planes == kPlanes) return match_vnni<kPlanes>(current, reference, pairs, pitch, how, bytes);
  if (is_fast && planes == 1) return match_vnni<1>(current, reference, pairs, pitch, how, bytes);
#endif
  match_plain(current, reference, pairs, pitch, planes, how, bytes);
}

}  // namespace

void int8_correlation_cpu(const CorrelationShape& s, const Int8Matching& how, const uint8_t* current, const uint8_t* reference,
                          uint8_t* out) {
  const int channels = s.channels, side = s.side(), pitch = (side * side + 3) / 4 * 4;
  const Pairs p(s);
  const size_t rows = s.height + 2 * static_cast<size_t>(p.border), image = static_cast<size_t>(s.height) * s.width;
  int16_t *a = scratch<int16_t>(kCurrent, rows * p.row), *b = scratch<int16_t>(kReference, rows * p.row);
  for (int n = 0; n < s.images; ++n) {
    fill(s, p, current + n * image * channels, how.in_zero, a);
    fill(s, p, reference + n * image * channels, how.in_zero, b);
#pragma omp parallel for schedule(dynamic)
    for (int y = 0; y < s.height; ++y) {
      const int16_t *from = a + (y + p.border) * p.row + 2 * p.border, *around = b + y * p.row;
      for (int x = 0; x < s.width; x += kCells) {
        uint8_t* to = out + (n * image + static_cast<size_t>(y) * s.width + x) * pitch;
        const int cells = min_int(kCells, s.width - x);
        for (int i = 0; i < cells; ++i) memset(to + i * pitch, how.zero, pitch);
        for (int place = 0, planes; place < side * side; place += planes) {
          planes = side - place % side >= kPlanes ? kPlanes : 1;
          uint8_t bytes[kPlanes * kCells];
          match(from + 2 * x, around + place / side * p.row + 2 * (x + place % side), channels / 2, p.pitch, planes, how, bytes);
          for (int k = 0; k < planes; ++k) {
            for (int i = 0; i < cells; ++i) to[i * pitch + place + k] = bytes[k * kCells + i];
          }
        }
      }
    }
  }
}

}  // namespace dff
