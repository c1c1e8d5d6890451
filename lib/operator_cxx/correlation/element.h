// One element of the correlation and of its gradients: code that the CPU's tests and the CUDA kernels share.
#pragma once
#include "../common/platform.h"

namespace dff {

struct CorrelationShape {
  int images, channels, height, width;
  int displacement;  // the largest, in cells, along each axis

  DFF_SHARED int side() const { return 2 * displacement + 1; }
  DFF_SHARED int planes() const { return side() * side(); }  // of an image's output
};

// What follows takes one image: maps of [channels, height, width], its gradient or output of [planes, height, width].

// out[plane, y, x]: the mean over the channels of current(y, x) * reference(y + dy, x + dx); 0 where that is outside.
DFF_SHARED float correlation_value(const CorrelationShape& s, const float* current, const float* reference, int plane, int y, int x) {
  const int to_y = y + plane / s.side() - s.displacement, to_x = x + plane % s.side() - s.displacement;
  if (to_y < 0 || to_y >= s.height || to_x < 0 || to_x >= s.width) return 0.0f;
  const int area = s.height * s.width, at = y * s.width + x, to = to_y * s.width + to_x;
  float sum = 0.0f;
  for (int c = 0; c < s.channels; ++c) sum += current[c * area + at] * reference[c * area + to];
  return sum / static_cast<float>(s.channels);
}

// Gradient of one cell of a map from `other`, the other map: of the current one with direction 1, of the reference with -1.
DFF_SHARED float correlation_gradient(const CorrelationShape& s, const float* grad_out, const float* other, int direction,
                                      int channel, int y, int x) {
  const int area = s.height * s.width;
  float sum = 0.0f;
  for (int plane = 0; plane < s.planes(); ++plane) {
    const int to_y = y + direction * (plane / s.side() - s.displacement), to_x = x + direction * (plane % s.side() - s.displacement);
    if (to_y < 0 || to_y >= s.height || to_x < 0 || to_x >= s.width) continue;
    const int to = to_y * s.width + to_x;
    // The output belongs to the current map's cell.
    sum += grad_out[plane * area + (direction > 0 ? y * s.width + x : to)] * other[channel * area + to];
  }
  return sum / static_cast<float>(s.channels);
}

}  // namespace dff
