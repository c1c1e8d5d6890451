// 3x3 convolution by Winograd's algorithm, on the CPU; the maths is in README.md beside this file.
#pragma once

namespace dff {

const int kPositions = 36;  // products a tile of 4x4 outputs takes
const int kPanel = 16;      // output channels that lie side by side in the transformed weight

// stride 2: a 5x5 convolution. It is a 3x3 one of stride 1 on the four maps of every second row and column.
// up 2: a 4x4 deconvolution of stride 2. It is a 3x3 convolution of stride 1 with four filters for each of its own, which
// make every second row and column of the result; out_channels counts all of them.
struct WinogradShape {
  int images, in_channels, out_channels, in_height, in_width, dilation, stride, up;
  int height() const { return (in_height - 1) / stride + 1; }
  int width() const { return (in_width - 1) / stride + 1; }
  int filters() const { return out_channels / (up * up); }
  int phases() const { return stride * stride; }
  int phase_channels() const { return (in_channels + 7) / 8 * 8; }
  int depth() const { return phases() * phase_channels(); }
  int panels() const { return (out_channels + kPanel - 1) / kPanel; }
};

// data [images, in, in_height, in_width], weight [36, panels, depth, 16] (transformed), bias [out / up^2]
// -> out [images, out / up^2, up * height, up * width].
// slope: factor on negative results: 1 none, 0 ReLU.
void winograd_cpu(const WinogradShape& shape, const float* data, const float* weight, const float* bias, float slope, float* out);

}  // namespace dff
