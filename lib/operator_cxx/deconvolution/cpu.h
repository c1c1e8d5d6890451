// 4x4 deconvolution of stride 2 and padding 1, which doubles a map's size, as one matrix product; see README.md.
#pragma once

namespace dff {

const int kTaps = 16;  // of a filter for one channel: a panel of the matrix product

struct DeconvolutionShape {
  int images, in_channels, filters, height, width;  // of the input; the output is [images, filters, 2 * height, 2 * width]
};

// data [images, in_channels, height, width], weight [filters, in_channels, 16] (rearranged), bias [filters] -> out.
// slope: factor on negative results: 1 none, 0 ReLU.
void deconvolution_cpu(const DeconvolutionShape& shape, const float* data, const float* weight, const float* bias, float slope, float* out);

}  // namespace dff
