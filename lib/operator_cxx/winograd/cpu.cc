#include "cpu.h"

#include <algorithm>

#include "../common/cpu.h"
#include "../common/platform.h"
#include "../common/gemm.h"
#include "../common/parallel.h"

namespace dff {
namespace {

enum { kMaps, kRow, kIn, kProducts };  // scratch slots
const int kTile = 4;            // outputs along each side of a tile
const int kEdge = kTile + 2;    // inputs
const int kAhead = 2;           // tiles, from one that is read or written to the one whose lines are fetched

// The top left output of a tile; its neighbours lie `dilation` cells apart.
struct Tile {
  int y, x;
};

// The tiles that cover a map: a dilated convolution is one of dilation 1 on each of dilation^2 interleaved maps.
std::vector<Tile> cover(const WinogradShape& s) {
  std::vector<Tile> tiles;
  const int d = s.dilation;
  for (int phase = 0; phase < d * d; ++phase) {
    for (int y = phase / d; y < s.height(); y += kTile * d) {
      for (int x = phase % d; x < s.width(); x += kTile * d) tiles.push_back({y, x});
    }
  }
  return tiles;
}

// Where the transformed tiles lie: [36][rows][pitch], and a gap after every position, without which all 36 would fall
// into the same few lines of the caches.
struct Layout {
  size_t pitch, position;
  Layout(int rows, int channels)
      : pitch((channels + kPanel - 1) / kPanel * kPanel), position(static_cast<size_t>(rows) * pitch + 3 * kPanel) {}
};

// Tells the caches that the lines of a tile, one at each position, come soon: too far apart for them to guess.
DFF_INLINE void prefetch(const float* tiles, size_t tile, const Layout& layout) {
  for (int p = 0; p < kPositions; ++p) __builtin_prefetch(tiles + p * layout.position + tile * layout.pitch);
}

// A map with zeros around, so that every tile can be read and written whole: [height][width][8 lanes].
struct Padded {
  int height, width, border;
  explicit Padded(const WinogradShape& s)
      : height(s.height() + kEdge * s.dilation), width(s.width() + kEdge * s.dilation), border(s.dilation) {}
  size_t size() const { return static_cast<size_t>(height) * width * kLanes; }
  size_t at(int y, int x) const { return (static_cast<size_t>(y) * width + x) * kLanes; }
};

DFF_INLINE void transform_in(const Eight* d, int stride, Eight* out, int out_stride) {
  const Eight d0 = d[0], d1 = d[stride], d2 = d[2 * stride], d3 = d[3 * stride], d4 = d[4 * stride], d5 = d[5 * stride];
  const Eight even = d4 - 4 * d2, odd = d3 - 4 * d1, even2 = d4 - d2, odd2 = 2 * (d3 - d1);
  out[0] = 4 * d0 - 5 * d2 + d4;
  out[out_stride] = even + odd;
  out[2 * out_stride] = even - odd;
  out[3 * out_stride] = even2 + odd2;
  out[4 * out_stride] = even2 - odd2;
  out[5 * out_stride] = 4 * d1 - 5 * d3 + d5;
}

DFF_INLINE void transform_out(const Eight* m, int stride, Eight* out, int out_stride) {
  const Eight sum = m[stride] + m[2 * stride], difference = m[stride] - m[2 * stride];
  const Eight sum2 = m[3 * stride] + m[4 * stride], difference2 = m[3 * stride] - m[4 * stride];
  out[0] = m[0] + sum + sum2;
  out[out_stride] = difference + 2 * difference2;
  out[2 * out_stride] = sum + 4 * sum2;
  out[3 * out_stride] = difference + 8 * difference2 + m[5 * stride];
}

// The eight channels from `channel` of the input (those of its phase, with stride 2) into a padded map.
DFF_INLINE void load_map(const WinogradShape& s, const float* data, int channel, const Padded& padded, float* map) {
  const int phase = channel / s.phase_channels(), first = channel % s.phase_channels();
  const size_t plane = static_cast<size_t>(s.in_height) * s.in_width;
  float* whole = s.stride > 1 ? scratch<float>(kRow, static_cast<size_t>(s.in_width + 1) * kLanes) : nullptr;
  for (int y = 0; y < s.height(); ++y) {
    float* row = map + padded.at(y + padded.border, padded.border);
    const int from = y * s.stride + phase / s.stride;
    if (from >= s.in_height) {
      memset(row, 0, static_cast<size_t>(s.width()) * kLanes * sizeof(float));
      continue;
    }
    load_lanes(data + first * plane + static_cast<size_t>(from) * s.in_width, plane, min_int(kLanes, s.in_channels - first), s.in_width,
               whole ? whole : row);
    if (!whole) continue;
    memset(whole + static_cast<size_t>(s.in_width) * kLanes, 0, kLanes * sizeof(float));
    for (int x = 0; x < s.width(); ++x) store_eight(row + x * kLanes, load_eight(whole + (x * s.stride + phase % s.stride) * kLanes));
  }
}

// Sixteen channels from `channel`, transformed: to[position][tile][channel]. `maps`: two padded maps, zero at their borders.
DFF_CLONES void transform_data(const WinogradShape& s, const float* data, int channel, const std::vector<Tile>& tiles,
                               const Layout& layout, float* maps, float* to) {
  const Padded padded(s);
  const int halves = s.depth() - channel > kLanes ? 2 : 1;
  for (int half = 0; half < halves; ++half) load_map(s, data, channel + half * kLanes, padded, maps + half * padded.size());
  for (size_t t = 0; t < tiles.size(); ++t) {
    prefetch(to, t + kAhead, layout);
    for (int half = 0; half < halves; ++half) {
      const float* map = maps + half * padded.size();
      Eight in[kPositions], rows[kPositions];
      for (int i = 0; i < kEdge; ++i) {
        for (int j = 0; j < kEdge; ++j) {
          in[i * kEdge + j] = load_eight(map + padded.at(tiles[t].y + i * s.dilation, tiles[t].x + j * s.dilation));
        }
      }
      for (int j = 0; j < kEdge; ++j) transform_in(in + j, kEdge, rows + j, kEdge);
      for (int i = 0; i < kEdge; ++i) transform_in(rows + i * kEdge, 1, in + i * kEdge, 1);
      for (int p = 0; p < kPositions; ++p) store_eight(to + p * layout.position + t * layout.pitch + half * kLanes, in[p]);
    }
  }
}

// Cells of the result for each channel of the convolution.
DFF_INLINE size_t plane_of(const WinogradShape& s) { return static_cast<size_t>(s.height()) * s.width(); }

// Eight channels of a padded map to where they belong in the result; with `up` four of them are one filter's.
DFF_INLINE void store_map(const WinogradShape& s, const float* map, const Padded& padded, int channels, float* out) {
  for (int y = 0; y < s.height(); ++y) {
    const float* row = map + padded.at(y, 0);
    if (s.up == 1) {
      store_lanes(row, plane_of(s), channels, s.width(), out + static_cast<size_t>(y) * s.width());
      continue;
    }
    for (int first = 0; first < channels; first += 2) {      // the left and the right cells of one row
      float* to = out + first / 4 * 4 * plane_of(s) + (2 * y + first / 2 % 2) * (2 * static_cast<size_t>(s.width()));
      for (int x = 0; x < s.width(); ++x) memcpy(to + 2 * x, row + x * kLanes + first, 2 * sizeof(float));
    }
  }
}

// The inverse for sixteen output channels, with bias and activation.
DFF_CLONES void transform_products(const WinogradShape& s, const float* from, int channels, const std::vector<Tile>& tiles,
                                   const Layout& layout, const float* bias, float slope, float* maps, float* out) {
  const Padded padded(s);
  const int halves = channels > kLanes ? 2 : 1;
  float offsets[2 * kLanes] = {0};
  for (int c = 0; c < channels; ++c) offsets[c] = bias[c / (s.up * s.up)];
  for (size_t t = 0; t < tiles.size(); ++t) {
    prefetch(from, t + kAhead, layout);
    for (int half = 0; half < halves; ++half) {
      const Eight offset = load_eight(offsets + half * kLanes);
      float* map = maps + half * padded.size();
      Eight in[kPositions], rows[kTile * kEdge], result[kTile * kTile];
      for (int p = 0; p < kPositions; ++p) in[p] = load_eight(from + p * layout.position + t * layout.pitch + half * kLanes);
      for (int j = 0; j < kEdge; ++j) transform_out(in + j, kEdge, rows + j, kEdge);
      for (int i = 0; i < kTile; ++i) transform_out(rows + i * kEdge, 1, result + i * kTile, 1);
      for (int i = 0; i < kTile; ++i) {
        for (int j = 0; j < kTile; ++j) {
          const Eight value = result[i * kTile + j] + offset, low = value * slope;
          store_eight(map + padded.at(tiles[t].y + i * s.dilation, tiles[t].x + j * s.dilation), value > 0 ? value : low);
        }
      }
    }
  }
  for (int half = 0; half < halves; ++half) {
    store_map(s, maps + half * padded.size(), padded, min_int(kLanes, channels - half * kLanes), out + half * kLanes * plane_of(s));
  }
}

}  // namespace

void winograd_cpu(const WinogradShape& s, const float* data, const float* weight, const float* bias, float slope, float* out) {
  const std::vector<Tile> tiles = cover(s);
  const int rows = (static_cast<int>(tiles.size()) + kGemmRows - 1) / kGemmRows * kGemmRows;
  const Layout in_layout(rows, s.depth()), out_layout(rows, s.out_channels);
  float* in = scratch<float>(kIn, kPositions * in_layout.position);
  float* products = scratch<float>(kProducts, kPositions * out_layout.position);
  const size_t in_plane = static_cast<size_t>(s.in_height) * s.in_width, plane = plane_of(s);
  const size_t map_size = Padded(s).size();
  // A part of the panels for each thread, where there are fewer positions than would keep all threads busy.
  const int chunk = std::min(s.panels(), 8), chunks = (s.panels() + chunk - 1) / chunk;
  for (int image = 0; image < s.images; ++image) {
    const float* from = data + image * s.in_channels * in_plane;
    float* to = out + image * s.out_channels * plane;
    Caught caught;
#pragma omp parallel
    {
      float* maps = nullptr;
      caught.run([&] {
        maps = scratch<float>(kMaps, 2 * map_size);
        memset(maps, 0, 2 * map_size * sizeof(float));
      });
#pragma omp for schedule(dynamic)
      for (int c = 0; c < s.depth(); c += kPanel) {
        caught.run([&] { transform_data(s, from, c, tiles, in_layout, maps, in + c); });
      }
#pragma omp for schedule(dynamic)
      for (int task = 0; task < kPositions * chunks; ++task) {
        const int position = task / chunks, first = task % chunks * chunk;
        multiply(in + position * in_layout.position, in_layout.pitch, rows, s.depth(),
                 weight + (static_cast<size_t>(position) * s.panels() + first) * s.depth() * kPanel,
                 std::min(chunk, s.panels() - first), products + position * out_layout.position + first * kPanel, out_layout.pitch);
      }
#pragma omp for schedule(dynamic)
      for (int c = 0; c < s.out_channels; c += kPanel) {
        if (!maps) continue;  // there was no memory for them
        transform_products(s, products + c, std::min(kPanel, s.out_channels - c), tiles, out_layout, bias + c / (s.up * s.up), slope, maps, to + c * plane);
      }
    }
    caught.rethrow();
  }
}

}  // namespace dff
