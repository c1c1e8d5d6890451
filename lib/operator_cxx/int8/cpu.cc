#include "cpu.h"

#include <string.h>

#include <algorithm>
#include <vector>

#include "../common/cpu.h"
#include "../common/parallel.h"
#include "../common/platform.h"
#include "product.h"

namespace dff {
namespace {

enum { kPadded, kPacked };           // scratch slots
const size_t kChunk = 128 * 1024;    // bytes of the input that a thread multiplies with one panel after the other

// How the places of one phase of a result lie: rows and columns `step` apart from the first ones.
struct Phase {
  int rows, columns, step, row, column;
};

// Writes a tile of `rows` places from (row, column) of `phase` on.
void finish(const Int8Result& to, const Phase& phase, int image, int y, int x, int rows, int filter, const float* scale,
            const float* shift, const int32_t* sums) {
  float value[kInt8Rows * kInt8Panel];
  const int count = min_int(kInt8Panel, to.filters - filter), pitch = (to.filters + 3) / 4 * 4;
  const size_t first = (static_cast<size_t>(image) * to.height + phase.row + y * phase.step) * to.width + phase.column + x * phase.step;
  const size_t at = first * pitch + filter, step = static_cast<size_t>(phase.step) * pitch;
  const Int8Tail tail = {scale, shift, to.slope, to.other_scale, static_cast<float>(to.other_zero), static_cast<float>(to.zero)};
  for (int r = 0; r < rows; ++r) {
    uint8_t others[kInt8Panel] = {0}, bytes[kInt8Panel];
    const uint8_t* other = to.other ? to.other + at + r * step : nullptr;
    if (other && count < kInt8Panel) other = static_cast<const uint8_t*>(memcpy(others, other, count));
    uint8_t* out = to.bytes ? to.bytes + at + r * step : nullptr;
    const int width = min_int(kInt8Panel, pitch - filter);  // with what fills up the last group of filters
    int8_tail(tail, sums + r * kInt8Panel, other, width < kInt8Panel && out ? bytes : out, value + r * kInt8Panel);
    if (out && width < kInt8Panel) memcpy(out, bytes, width);
  }
  if (to.bytes) return;
  const size_t plane = static_cast<size_t>(to.height) * to.width;
  float* out = to.values + (static_cast<size_t>(image) * to.filters + filter) * plane + first - image * plane;
  for (int f = 0; f < count; ++f) {
    for (int r = 0; r < rows; ++r) out[f * plane + r * phase.step] = value[r * kInt8Panel + f];
  }
}

// A map in memory, and which byte of it the window of the first place begins with.
struct Source {
  const uint8_t* in;
  size_t image, row, step;  // bytes from one image, row and place to the next
};

// All places of a phase, times all filters.
void multiply_map(const Source& from, int images, const std::vector<size_t>& taps, int run, const int8_t* weight, const Phase& phase,
                  const Int8Result& to) {
  const int panels = (to.filters + kInt8Panel - 1) / kInt8Panel;
  std::vector<float> scale(panels * kInt8Panel, 0.0f), shift(panels * kInt8Panel, 0.0f);
  std::copy(to.scale, to.scale + to.filters, scale.begin());
  std::copy(to.shift, to.shift + to.filters, shift.begin());
  const int across = (phase.columns + kInt8Rows - 1) / kInt8Rows, tiles = images * phase.rows * across;
  const size_t tile_bytes = std::max<size_t>(1, from.row * std::max(1, phase.rows) / std::max(1, phase.rows * across));
  const int chunk = std::max(4, static_cast<int>(std::min<size_t>(kChunk / tile_bytes, 1 << 20)));
  const int chunks = (tiles + chunk - 1) / chunk;
  const size_t panel_size = taps.size() * run * kInt8Panel;
#pragma omp parallel for schedule(dynamic)
  for (int task = 0; task < chunks * panels; ++task) {
    const int panel = task % panels, filter = panel * kInt8Panel, last = std::min(tiles, (task / panels + 1) * chunk);
    int32_t sums[kInt8Rows * kInt8Panel];
    for (int tile = task / panels * chunk; tile < last; ++tile) {
      const int part = tile % across, y = tile / across % phase.rows, image = tile / across / phase.rows;
      // Tiles of a row are of nearly the same size: a short one takes as long as the sums of a full one wait for each other.
      const int x = static_cast<int>(static_cast<int64_t>(phase.columns) * part / across);
      const int rows = static_cast<int>(static_cast<int64_t>(phase.columns) * (part + 1) / across) - x;
      int8_product({from.in + image * from.image + y * from.row + x * from.step, from.step, taps.data(), static_cast<int>(taps.size()), run,
                    weight + panel * panel_size, min_int(kInt8Panel, to.filters - filter)},
                   rows, sums);
      finish(to, phase, image, y, x, rows, filter, scale.data() + filter, shift.data() + filter, sums);
    }
  }
}

// The map with `top` and `left` rows and columns of `zero` before it, and enough of them behind for [height, width] in all.
const uint8_t* padded(const Int8Map& m, const uint8_t* in, int zero, int top, int left, int height, int width) {
  const size_t row = static_cast<size_t>(width) * m.channels, inner = static_cast<size_t>(m.width) * m.channels;
  uint8_t* out = scratch<uint8_t>(kPadded, row * height * m.images);
  const size_t before = static_cast<size_t>(left) * m.channels, kept = std::min(inner, row - before);
#pragma omp parallel for
  for (long long i = 0; i < static_cast<long long>(m.images) * height; ++i) {
    const int y = static_cast<int>(i % height) - top;
    uint8_t* to = out + i * row;
    if (y < 0 || y >= m.height) {
      memset(to, zero, row);
      continue;
    }
    memset(to, zero, before);
    memcpy(to + before, in + static_cast<size_t>(i / height * m.height + y) * inner, kept);
    memset(to + before + kept, zero, row - before - kept);
  }
  return out;
}

}  // namespace

void int8_convolution_cpu(const Int8Map& m, const Int8Window& w, const uint8_t* in, int in_zero, const int8_t* weight,
                          const Int8Result& to) {
  const int high = (to.height - 1) * w.stride + (w.kernel_h - 1) * w.dilation + 1;
  const int wide = (to.width - 1) * w.stride + (w.kernel_w - 1) * w.dilation + 1;
  Int8Map whole = m;
  if (w.pad_h || w.pad_w || high > m.height || wide > m.width) {
    in = padded(m, in, in_zero, w.pad_h, w.pad_w, high, wide);
    whole = {m.images, high, wide, m.channels};
  }
  const size_t place = whole.channels, row = place * whole.width;
  // The places of a window's row lie side by side unless it is dilated.
  const bool joined = w.dilation == 1;
  std::vector<size_t> taps;
  for (int y = 0; y < w.kernel_h; ++y) {
    for (int x = 0; x < (joined ? 1 : w.kernel_w); ++x) taps.push_back((y * row + x * place) * w.dilation);
  }
  const int run = (joined ? w.kernel_w : 1) * whole.channels;
  Source from = {in, row * whole.height, row * w.stride, place * w.stride};
  Phase phase = {to.height, to.width, 1, 0, 0};
  Int8Result flat = to;
  if (w.kernel_h == 1 && w.kernel_w == 1 && w.stride == 1 && whole.width == to.width && whole.height == to.height) {
    // All places of a map lie side by side.
    phase = {1, to.height * to.width, 1, 0, 0};
    flat.height = 1;
    flat.width = phase.columns;
    from.row = from.image;
  }
  multiply_map(from, m.images, taps, run, weight, phase, flat);
}

void int8_deconvolution_cpu(const Int8Map& m, const uint8_t* in, int in_zero, const int8_t* weight, const Int8Result& to) {
  in = padded(m, in, in_zero, 1, 1, m.height + 2, m.width + 2);
  const size_t place = m.channels, row = place * (m.width + 2);
  const size_t size = static_cast<size_t>((to.filters + kInt8Panel - 1) / kInt8Panel) * kInt8Panel * 4 * m.channels;
  const std::vector<size_t> taps = {0, row};
  for (int odd = 0; odd < 4; ++odd) {
    const int y = odd / 2, x = odd % 2;
    const Phase phase = {(to.height - y + 1) / 2, (to.width - x + 1) / 2, 2, y, x};
    Int8Result part = to;
    part.shift += static_cast<size_t>(odd) * to.filters;
    multiply_map({in + y * row + x * place, row * (m.height + 2), row, place}, m.images, taps, 2 * m.channels, weight + odd * size, phase, part);
  }
}

}  // namespace dff
