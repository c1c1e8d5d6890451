#include "cpu.h"

#include "../common/cpu.h"
#include "../common/gemm.h"
#include "../common/parallel.h"
#include "../common/platform.h"

namespace dff {
namespace {

enum { kRows, kProducts, kMap };  // scratch slots
const int kChunk = 4;             // filters that a thread takes at a time: their products stay in its cache
const int kBlock = 16 * kGemmRows;  // positions multiplied at a time: with their channels they stay there, too

// to[position][channel] = from[channel][position] for up to 16 channels.
DFF_CLONES void channels_last(const float* from, int channels, int positions, float* to, size_t pitch) {
  for (int i = 0; i < positions; ++i) {
    for (int c = 0; c < channels; ++c) to[i * pitch + c] = from[static_cast<size_t>(c) * positions + i];
  }
}

// Adds every position's 4x4 products of one filter where they belong, then bias and activation.
// `map`: zeros [2 * height + 2][2 * width + 2], the result with the padding that it is cut to; zero again afterwards.
DFF_CLONES void gather(const DeconvolutionShape& s, const float* products, float bias, float slope, float* map, float* out) {
  const int width = 2 * s.width + 2;
  for (int y = 0; y < s.height; ++y) {
    // Every second position, so that none adds to what was stored a moment ago: those loads would have to wait.
    for (int first = 0; first < 2; ++first) {
      for (int x = first; x < s.width; x += 2) {
        const float* from = products + (static_cast<size_t>(y) * s.width + x) * kChunk * kTaps;
        for (int k = 0; k < 4; ++k) {
          float* to = map + static_cast<size_t>(2 * y + k) * width + 2 * x;
          store_four(to, load_four(to) + load_four(from + 4 * k));
        }
      }
    }
  }
  for (int y = 0; y < 2 * s.height; ++y) {
    const float* from = map + static_cast<size_t>(y + 1) * width + 1;
    for (int x = 0; x < 2 * s.width; ++x) {
      const float value = from[x] + bias;
      out[static_cast<size_t>(y) * 2 * s.width + x] = value > 0 ? value : value * slope;
    }
  }
  memset(map, 0, static_cast<size_t>(2 * s.height + 2) * width * sizeof(float));
}

}  // namespace

void deconvolution_cpu(const DeconvolutionShape& s, const float* data, const float* weight, const float* bias, float slope, float* out) {
  const int positions = s.height * s.width, rows = (positions + kGemmRows - 1) / kGemmRows * kGemmRows;
  const size_t pitch = s.in_channels + 16;  // not a power of two, whose rows would fall into the same few lines of the caches
  const size_t map_size = static_cast<size_t>(2 * s.height + 2) * (2 * s.width + 2);
  float* in = scratch<float>(kRows, rows * pitch);
  memset(in + positions * pitch, 0, (rows - positions) * pitch * sizeof(float));
  for (int image = 0; image < s.images; ++image) {
    const float* from = data + static_cast<size_t>(image) * s.in_channels * positions;
    float* to = out + static_cast<size_t>(image) * s.filters * 4 * positions;
    Caught caught;
#pragma omp parallel
    {
      float *products = nullptr, *map = nullptr;
      caught.run([&] {
        products = scratch<float>(kProducts, static_cast<size_t>(rows) * kChunk * kTaps);
        map = scratch<float>(kMap, map_size);
        memset(map, 0, map_size * sizeof(float));
      });
#pragma omp for schedule(dynamic)
      for (int c = 0; c < s.in_channels; c += 16) {
        channels_last(from + static_cast<size_t>(c) * positions, min_int(16, s.in_channels - c), positions, in + c, pitch);
      }
#pragma omp for schedule(dynamic)
      for (int filter = 0; filter < s.filters; filter += kChunk) {
        if (!map) continue;  // there was no memory for it
        const int count = min_int(kChunk, s.filters - filter);
        for (int row = 0; row < rows; row += kBlock) {
          multiply(in + row * pitch, pitch, min_int(kBlock, rows - row), s.in_channels,
                   weight + static_cast<size_t>(filter) * s.in_channels * kTaps, count,
                   products + static_cast<size_t>(row) * kChunk * kTaps, kChunk * kTaps);
        }
        for (int f = 0; f < count; ++f) {
          gather(s, products + f * kTaps, bias[filter + f], slope, map, to + static_cast<size_t>(filter + f) * 4 * positions);
        }
      }
    }
    caught.rethrow();
  }
}

}  // namespace dff
