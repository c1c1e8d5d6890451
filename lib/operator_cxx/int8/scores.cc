// Scores of regions from a map of bytes; the maths is in README.md beside this file.
#include <string.h>

#include <algorithm>

#include "../common/cpu.h"
#include "../common/parallel.h"
#include "../psroi_pooling/integral.h"
#include "bytes.h"
#include "features.h"
#include "product.h"

#ifdef DFF_VNNI
#include <immintrin.h>
#endif

namespace dff {
namespace {

const int kBlock = kInt8Block;

enum { kTable };  // scratch slots of int32_t
enum { kMeans };  // of bytes

// table[y][x][channel] = sum of the bytes in rows 0 .. y - 1 and columns 0 .. x - 1, exact; 0 of channels that are not there.
DFF_CLONES void sum_up(const uint8_t* data, int height, int width, int pitch, int channels, int32_t* table) {
  const size_t row = static_cast<size_t>(width + 1) * kBlock;
  memset(table, 0, row * sizeof(int32_t));
  for (int y = 0; y < height; ++y) {
    const int32_t* above = table + y * row;
    int32_t* to = table + (y + 1) * row;
    int32_t sums[kBlock] = {0};
    memset(to, 0, kBlock * sizeof(int32_t));
    for (int x = 0; x < width; ++x) {
      const uint8_t* from = data + (static_cast<size_t>(y) * width + x) * pitch;
      if (channels == kBlock) {
        for (int c = 0; c < kBlock; ++c) sums[c] += from[c];
      } else {
        for (int c = 0; c < channels; ++c) sums[c] += from[c];
      }
      for (int c = 0; c < kBlock; ++c) to[(x + 1) * kBlock + c] = above[(x + 1) * kBlock + c] + sums[c];
    }
  }
}

// The rounded mean of every bin, `zero` of those that are empty: to[bin][kBlock].
void pool_plain(const Place<float>* places, int bins, const int32_t* table, float zero, uint8_t* to) {
  for (int bin = 0; bin < bins; ++bin) {
    const Place<float>& place = places[bin];
    const int32_t *a = table + static_cast<size_t>(place.top_left) * kBlock, *b = table + static_cast<size_t>(place.top_right) * kBlock;
    const int32_t *c = table + static_cast<size_t>(place.bottom_left) * kBlock, *d = table + static_cast<size_t>(place.bottom_right) * kBlock;
    for (int l = 0; l < kBlock; ++l) {
      const float mean = place.scale > 0 ? static_cast<float>(d[l] - b[l] - c[l] + a[l]) * place.scale : zero;
      to[bin * kBlock + l] = static_cast<uint8_t>(rounded_byte(mean));
    }
  }
}

#ifdef DFF_VNNI
__attribute__((target("avx512f"))) void pool_avx512(const Place<float>* places, int bins, const int32_t* table, float zero, uint8_t* to) {
  const __m512* const cells = reinterpret_cast<const __m512*>(table);
  for (int bin = 0; bin < bins; ++bin) {
    const Place<float>& place = places[bin];
    const __m512i right = _mm512_sub_epi32(_mm512_loadu_si512(cells + place.bottom_right), _mm512_loadu_si512(cells + place.top_right));
    const __m512i left = _mm512_sub_epi32(_mm512_loadu_si512(cells + place.bottom_left), _mm512_loadu_si512(cells + place.top_left));
    __m512 mean = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(right, left)), _mm512_set1_ps(place.scale));
    if (!(place.scale > 0)) mean = _mm512_set1_ps(zero);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + bin * kBlock), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(mean)));
  }
}
#endif

void pool(const Place<float>* places, int bins, const int32_t* table, float zero, uint8_t* to) {
#ifdef DFF_VNNI
  static const bool is_fast = dff_int8_is_fast() != 0;
  if (is_fast) return pool_avx512(places, bins, table, zero, to);
#endif
  pool_plain(places, bins, table, zero, to);
}

// Scores of up to kInt8Rows regions, one after the other in `means`.
void score(const PooledScoresShape& s, const Region* regions, int count, const uint8_t* means, size_t depth, const int8_t* weight,
           const float* scale, const float* shift, const float* bias, float* out) {
  const size_t tap = 0;
  int32_t sums[kInt8Rows * kInt8Panel];
  for (int filter = 0; filter < s.outputs; filter += kInt8Panel) {
    const int filters = min_int(kInt8Panel, s.outputs - filter);
    int8_product({means, depth, &tap, 1, static_cast<int>(depth), weight + filter * depth, filters}, count, sums);
    for (int r = 0; r < count; ++r) {
      const Region& region = regions[r];
      // Without a cell the score is 0, not what rounding leaves of a difference.
      if (std::none_of(region.inverse_area, region.inverse_area + s.bins(), [](double area) { return area > 0; })) continue;
      float* to = out + static_cast<size_t>(region.index) * s.outputs + filter;
      for (int o = 0; o < filters; ++o) {
        to[o] = static_cast<float>(sums[r * kInt8Panel + o]) * scale[filter + o] + shift[filter + o];
      }
      for (int bin = 0; bin < s.bins(); ++bin) {
        if (!(region.inverse_area[bin] > 0)) continue;
        for (int o = 0; o < filters; ++o) to[o] += bias[static_cast<size_t>(bin) * s.outputs + filter + o];
      }
    }
  }
}

}  // namespace

void int8_scores_cpu(const PooledScoresShape& s, const uint8_t* data, int zero, const float* rois, const int8_t* weight,
                     const float* scale, const float* shift, const float* bias, float* out) {
  const PsroiShape pooling = {s.images, s.height, s.width, s.rois, 1, s.pooled, 1, s.spatial_scale};
  const Regions regions(pooling, rois);
  const int blocks = (s.channels + kBlock - 1) / kBlock, run = s.bins() * kBlock;
  const size_t depth = static_cast<size_t>(blocks) * run;
  const size_t image_size = static_cast<size_t>(s.height) * s.width * s.all_channels;
  const size_t cells = static_cast<size_t>(s.height + 1) * (s.width + 1);
  std::fill(out, out + static_cast<size_t>(s.rois) * s.outputs, 0.0f);  // those of no image keep it
  for (int image = 0; image < s.images; ++image) {
    const std::vector<Region>& own = regions.of_image[image];
    const std::vector<Place<float> > places = places_of<float>(own, s.pooled, s.width);
    const int count = static_cast<int>(own.size());
    uint8_t* means = scratch<uint8_t>(kMeans, std::max<size_t>(1, count * depth));
    Caught caught;
#pragma omp parallel
    {
#pragma omp for schedule(static)
      for (int block = 0; block < blocks; ++block) {
        caught.run([&] {
          int32_t* table = scratch<int32_t>(kTable, cells * kBlock);
          const int first = s.first + block * kBlock, channels = min_int(kBlock, s.channels - block * kBlock);
          sum_up(data + image * image_size + first, s.height, s.width, s.all_channels, channels, table);
          for (int r = 0; r < count; ++r) {
            pool(&places[static_cast<size_t>(r) * s.bins()], s.bins(), table, static_cast<float>(zero), means + r * depth + block * run);
          }
        });
      }
#pragma omp for schedule(dynamic)
      for (int first = 0; first < count; first += kInt8Rows) {
        score(s, &own[first], min_int(kInt8Rows, count - first), means + first * depth, depth, weight, scale, shift, bias, out);
      }
    }
    caught.rethrow();
  }
}

}  // namespace dff
