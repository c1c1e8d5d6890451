// Layers on maps of bytes on the CPU; the maths is in README.md beside this file.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace dff {

// A map [images, height, width, channels] of bytes; channels is a multiple of 4.
struct Int8Map {
  int images, height, width, channels;
};

struct Int8Window {
  int kernel_h, kernel_w, stride, pad_h, pad_w, dilation;
};

// What becomes of the sums of a layer: value = sum * scale[filter] + shift[filter] (+ (other - other_zero) *
// other_scale), times slope where negative; then bytes, of which `zero` stands for 0, or the value itself.
struct Int8Result {
  int filters;
  const float *scale, *shift;
  float slope;
  const uint8_t* other;  // [as the output, in bytes], or null
  float other_scale;
  int other_zero, zero;
  uint8_t* bytes;  // [images, height, width, channels], channels = filters to the next multiple of 4, or null
  float* values;   // [images, filters, height, width], where bytes is null
  int height, width;
};

// in [map]; in_zero stands for 0; weight [panels, taps * channels / 4, 32, 4].
void int8_convolution_cpu(const Int8Map& map, const Int8Window& window, const uint8_t* in, int in_zero, const int8_t* weight,
                          const Int8Result& result);

// 4x4 deconvolution of stride 2 and padding 1, the first rows and columns of its result. weight [4, panels, 4 * channels / 4, 32, 4],
// of the places (even, even), (even, odd), (odd, even), (odd, odd) of the result; result.shift [4, filters], too.
void int8_deconvolution_cpu(const Int8Map& map, const uint8_t* in, int in_zero, const int8_t* weight, const Int8Result& result);

// Bytes of the channels from `begin` on of data [images, channels of all, height, width]: round(value * scale) + zero, within a byte.
// map.channels: those taken, to the next multiple of 4; those beyond `count` become `zero`.
void int8_quantise_cpu(const Int8Map& map, const float* data, int all, int begin, int count, float scale, int zero, uint8_t* out);

// out [images, count, height, width] = (byte - zero) * scale of the channels from `begin` on.
void int8_dequantise_cpu(const Int8Map& map, const uint8_t* in, int begin, int count, float scale, int zero, float* out);

// The largest byte, or the rounded mean, of each window; what is outside does not count.
void int8_pooling_cpu(const Int8Map& map, const Int8Window& window, bool mean, const uint8_t* in, int height, int width, uint8_t* out);

// out [images, height, width, pitch]: writes `channels` of every place, from `begin` on.
void int8_join_cpu(size_t places, const uint8_t* in, int channels, uint8_t* out, int begin, int pitch);

}  // namespace dff
