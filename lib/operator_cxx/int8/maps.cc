// What goes before, between and behind the products: see cpu.h.
#include <string.h>

#include "../common/cpu.h"
#include "../common/platform.h"
#include "bytes.h"
#include "cpu.h"

namespace dff {
namespace {

const int kBlock = 64;  // places, or channels, taken at a time

// Four channels of up to kBlock places, as bytes side by side; data: null where there is no such channel.
DFF_CLONES void quantise_four(const float* const* data, int count, float scale, float zero, uint32_t* out) {
  for (int i = 0; i < count; ++i) out[i] = 0;
  const float zeros[kBlock] = {0};
  for (int c = 0; c < 4; ++c) {
    const float* from = data[c] ? data[c] : zeros;
    for (int i = 0; i < count; ++i) out[i] |= nearest_byte(from[i] * scale + zero) << (8 * c);
  }
}

DFF_CLONES void dequantise_four(const uint32_t* in, int count, float zero, float scale, float* const* out, int channels) {
  for (int c = 0; c < channels; ++c) {
    for (int i = 0; i < count; ++i) out[c][i] = (static_cast<float>(static_cast<int32_t>(in[i] >> (8 * c) & 255u)) - zero) * scale;
  }
}

DFF_CLONES void largest(const uint8_t* in, int count, uint8_t* out) {
  for (int c = 0; c < count; ++c) out[c] = in[c] > out[c] ? in[c] : out[c];
}

DFF_CLONES void add(const uint8_t* in, int count, int32_t* sums) {
  for (int c = 0; c < count; ++c) sums[c] += in[c];
}

DFF_CLONES void divide(const int32_t* sums, int count, float cells, uint8_t* out) {
  for (int c = 0; c < count; ++c) out[c] = static_cast<uint8_t>(rounded_byte(static_cast<float>(sums[c]) / cells));
}

// Bytes of four channels of a place, of which the machine may have the first one at either end.
DFF_INLINE void store_bytes(uint32_t value, uint8_t* out) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  memcpy(out, &value, sizeof(value));
#else
  for (int c = 0; c < 4; ++c) out[c] = static_cast<uint8_t>(value >> (8 * c));
#endif
}

DFF_INLINE uint32_t load_bytes(const uint8_t* in) {
  uint32_t value = 0;
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  memcpy(&value, in, sizeof(value));
#else
  for (int c = 0; c < 4; ++c) value |= static_cast<uint32_t>(in[c]) << (8 * c);
#endif
  return value;
}

}  // namespace

void int8_quantise_cpu(const Int8Map& m, const float* data, int all, int begin, int count, float scale, int zero, uint8_t* out) {
  const int plane = m.height * m.width, blocks = (plane + kBlock - 1) / kBlock;
#pragma omp parallel for
  for (int task = 0; task < m.images * blocks; ++task) {
    const int image = task / blocks, first = task % blocks * kBlock, places = min_int(kBlock, plane - first);
    const float* from = data + (static_cast<size_t>(image) * all + begin) * plane + first;
    uint8_t* to = out + (static_cast<size_t>(image) * plane + first) * m.channels;
    for (int c = 0; c < m.channels; c += 4) {
      const float* parts[4];
      for (int k = 0; k < 4; ++k) parts[k] = c + k < count ? from + static_cast<size_t>(c + k) * plane : nullptr;
      uint32_t packed[kBlock];
      quantise_four(parts, places, scale, static_cast<float>(zero), packed);
      for (int i = 0; i < places; ++i) store_bytes(packed[i], to + static_cast<size_t>(i) * m.channels + c);
    }
  }
}

void int8_dequantise_cpu(const Int8Map& m, const uint8_t* in, int begin, int count, float scale, int zero, float* out) {
  const int plane = m.height * m.width, blocks = (plane + kBlock - 1) / kBlock;
#pragma omp parallel for
  for (int task = 0; task < m.images * blocks; ++task) {
    const int image = task / blocks, first = task % blocks * kBlock, places = min_int(kBlock, plane - first);
    const uint8_t* from = in + (static_cast<size_t>(image) * plane + first) * m.channels + begin;
    float* to = out + static_cast<size_t>(image) * count * plane + first;
    for (int c = 0; c < count; c += 4) {
      const int channels = min_int(4, count - c);
      uint32_t packed[kBlock];
      float* parts[4];
      for (int k = 0; k < channels; ++k) parts[k] = to + static_cast<size_t>(c + k) * plane;
      for (int i = 0; i < places; ++i) packed[i] = load_bytes(from + static_cast<size_t>(i) * m.channels + c);
      dequantise_four(packed, places, static_cast<float>(zero), scale, parts, channels);
    }
  }
}

void int8_pooling_cpu(const Int8Map& m, const Int8Window& w, bool mean, const uint8_t* in, int height, int width, uint8_t* out) {
  const size_t place = m.channels;
#pragma omp parallel for
  for (int row = 0; row < m.images * height; ++row) {
    const int top = row % height * w.stride - w.pad_h;
    const uint8_t* image = in + static_cast<size_t>(row / height) * m.height * m.width * place;
    for (int x = 0; x < width; ++x) {
      const int left = x * w.stride - w.pad_w;
      for (int c = 0; c < m.channels; c += kBlock) {
        const int count = min_int(kBlock, m.channels - c);
        uint8_t* to = out + (static_cast<size_t>(row) * width + x) * place + c;
        int32_t sums[kBlock] = {0};
        memset(to, 0, count);
        int cells = 0;
        for (int y = max_int(0, top); y < min_int(m.height, top + w.kernel_h); ++y) {
          for (int i = max_int(0, left); i < min_int(m.width, left + w.kernel_w); ++i, ++cells) {
            const uint8_t* from = image + (static_cast<size_t>(y) * m.width + i) * place + c;
            if (mean) {
              add(from, count, sums);
            } else {
              largest(from, count, to);
            }
          }
        }
        if (mean && cells) divide(sums, count, static_cast<float>(cells), to);
      }
    }
  }
}

void int8_join_cpu(size_t places, const uint8_t* in, int channels, uint8_t* out, int begin, int pitch) {
#pragma omp parallel for
  for (long long i = 0; i < static_cast<long long>(places); ++i) memcpy(out + i * pitch + begin, in + i * channels, channels);
}

}  // namespace dff
