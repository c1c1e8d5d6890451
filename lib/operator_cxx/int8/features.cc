#include "features.h"

#include <string.h>

#include "../common/cpu.h"
#include "../common/parallel.h"
#include "../flow_warp/cpu.h"
#include "bytes.h"
#include "product.h"

#ifdef DFF_VNNI
#include <immintrin.h>
#endif

namespace dff {
namespace {

const int kBlock = kInt8Block;

enum { kLanesOf };  // scratch slots of floats
enum { kTaps };     // of WarpTaps

// Of an image, up to kBlock channels of all places, `pitch` bytes from one place to the next.
struct Block {
  int places, channels, pitch;
  const uint8_t* scale;
  uint8_t* out;
};

// feature: [place][kBlock].
void warp_plain(const Block& b, const WarpTap* taps, const float* feature, const Int8Scaling& how) {
  const float scale_zero = static_cast<float>(how.scale_zero), zero = static_cast<float>(how.zero);
  for (int i = 0; i < b.places; ++i) {
    const uint8_t* scale = b.scale + static_cast<size_t>(i) * b.pitch;
    for (int c = 0; c < b.channels; ++c) {
      float value = 0.0f;
      for (int k = 0; k < 4; ++k) value += feature[static_cast<size_t>(taps[i].offset[k]) * kBlock + c] * taps[i].weight[k];
      value *= (static_cast<float>(scale[c]) - scale_zero) * how.factor;
      b.out[static_cast<size_t>(i) * b.pitch + c] = static_cast<uint8_t>(nearest_byte(value + zero));
    }
  }
}

#ifdef DFF_VNNI
// The same for kBlock channels.
__attribute__((target("avx512f"))) void warp_avx512(const Block& b, const WarpTap* taps, const float* feature, const Int8Scaling& how) {
  const __m512 scale_zero = _mm512_set1_ps(static_cast<float>(how.scale_zero)), zero = _mm512_set1_ps(static_cast<float>(how.zero));
  const __m512 factor = _mm512_set1_ps(how.factor), none = _mm512_setzero_ps(), most = _mm512_set1_ps(255.0f);
  for (int i = 0; i < b.places; ++i) {
    __m512 value = none;
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      const __m512 cell = _mm512_loadu_ps(feature + static_cast<size_t>(taps[i].offset[k]) * kBlock);
      value = _mm512_add_ps(value, _mm512_mul_ps(cell, _mm512_set1_ps(taps[i].weight[k])));
    }
    const size_t at = static_cast<size_t>(i) * b.pitch;
    const __m512i bytes = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(b.scale + at)));
    value = _mm512_mul_ps(value, _mm512_mul_ps(_mm512_sub_ps(_mm512_cvtepi32_ps(bytes), scale_zero), factor));
    // Of what is no number the larger one is 0.
    value = _mm512_min_ps(_mm512_max_ps(_mm512_add_ps(value, zero), none), most);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(b.out + at), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(value)));
  }
}
#endif

void warp_block(const Block& b, const WarpTap* taps, const float* feature, const Int8Scaling& how) {
#ifdef DFF_VNNI
  static const bool is_fast = dff_int8_is_fast() != 0;
  if (is_fast && b.channels == kBlock) return warp_avx512(b, taps, feature, how);
#endif
  warp_plain(b, taps, feature, how);
}

// kBlock channels side by side; those that there are not are 0.
DFF_CLONES void load_block(const float* from, size_t plane, int channels, float* to) {
  load_lanes<kBlock>(from, plane, channels, static_cast<int>(plane), to);
}

}  // namespace

void int8_slice_cpu(const Int8Map& m, const Int8Part& part, const uint8_t* in, uint8_t* out) {
  const size_t places = static_cast<size_t>(m.height) * m.width;
  const int images = part.images(m.images);
#pragma omp parallel for
  for (long long row = 0; row < static_cast<long long>(images) * m.height; ++row) {
    const size_t image = row / m.height, y = row % m.height;
    const uint8_t* from = in + ((part.first + image * part.step) * places + y * m.width) * m.channels + part.begin;
    uint8_t* to = out + (image * places + y * m.width) * part.count;
    for (int x = 0; x < m.width; ++x) memcpy(to + static_cast<size_t>(x) * part.count, from + static_cast<size_t>(x) * m.channels, part.count);
  }
}

void int8_activation_cpu(size_t bytes, const uint8_t* in, int in_zero, float slope, float factor, int zero, uint8_t* out) {
  uint8_t table[256];
  for (int byte = 0; byte < 256; ++byte) {
    const float value = static_cast<float>(byte - in_zero) * factor;
    table[byte] = static_cast<uint8_t>(nearest_byte((value > 0.0f ? value : value * slope) + static_cast<float>(zero)));
  }
#pragma omp parallel for
  for (long long i = 0; i < static_cast<long long>(bytes); ++i) out[i] = table[in[i]];
}

void int8_warp_cpu(const WarpShape& s, const float* feature, const float* flow, const uint8_t* scale, const Int8Scaling& how,
                   uint8_t* out) {
  const size_t plane = static_cast<size_t>(s.height) * s.width;
  WarpTap* taps = scratch<WarpTap>(kTaps, plane * s.images);
  fill_taps(s, flow, taps);
  Caught caught;
  // Static: channels that lie in one line of the caches are then written by one thread.
#pragma omp parallel for schedule(static)
  for (int channel = 0; channel < s.channels; channel += kBlock) {
    caught.run([&] {
      const int channels = min_int(kBlock, s.channels - channel);
      float* lanes = scratch<float>(kLanesOf, plane * kBlock);
      for (int n = 0; n < s.images; ++n) {
        if (n < s.feature_images) load_block(feature + (static_cast<size_t>(n) * s.channels + channel) * plane, plane, channels, lanes);
        const size_t at = n * plane * s.channels + channel;
        warp_block({static_cast<int>(plane), channels, s.channels, scale + at, out + at}, taps + n * plane, lanes, how);
      }
    });
  }
  caught.rethrow();
}

}  // namespace dff
