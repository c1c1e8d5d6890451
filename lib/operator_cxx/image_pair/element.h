// One pixel of the halved pair: code that the CPU and the CUDA kernel share.
#pragma once
#include "../common/platform.h"

namespace dff {

struct ImagePairShape {
  int images, references, channels, height, width;  // of the images; references: 1, or as many as images
  float factor;                                     // on the values of the pair

  DFF_SHARED int rows() const { return (height + 1) / 2; }  // of the pair
  DFF_SHARED int columns() const { return (width + 1) / 2; }
};

DFF_SHARED float mean_of_four(float a, float b, float c, float d) { return (a + b + c + d) * 0.25f; }

}  // namespace dff
