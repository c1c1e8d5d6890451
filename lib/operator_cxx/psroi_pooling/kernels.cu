// Position-sensitive RoI pooling: a thread takes one bin of one region and output channel; neighbouring threads take the same
// bin of neighbouring regions, which read the same plane.
#include "element.h"

namespace dff {

struct Bin {
  CellRange rows, columns;
  size_t plane;  // where the input channel starts that the bin reads
  size_t out;    // where the bin lies in the output
  int area;      // 0: nothing to read
};

__device__ __forceinline__ Bin bin_of(const PsroiShape& s, const float* rois, size_t index) {
  const int number = index % s.rois, place = index / s.rois;
  const int column = place % s.pooled, row = place / s.pooled % s.pooled, channel = place / s.pooled / s.pooled;
  const float* roi = rois + static_cast<size_t>(number) * 5;
  const int image = image_of_roi(roi, s.images);
  Bin bin;
  bin.rows = bin_range(roi[2], roi[4], row, s.pooled, s.spatial_scale, s.height);
  bin.columns = bin_range(roi[1], roi[3], column, s.pooled, s.spatial_scale, s.width);
  bin.area = image < 0 ? 0 : bin.rows.size() * bin.columns.size();
  const int input = (channel * s.group + group_of_bin(row, s.pooled, s.group)) * s.group + group_of_bin(column, s.pooled, s.group);
  bin.plane = (static_cast<size_t>(image < 0 ? 0 : image) * s.channels() + input) * s.height * s.width;
  bin.out = static_cast<size_t>(number) * s.output_dim * s.pooled * s.pooled + place;
  return bin;
}

extern "C" __global__ void dff_psroi_forward(PsroiShape s, const float* __restrict__ data, const float* __restrict__ rois,
                                             float* __restrict__ out) {
  const size_t index = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index >= static_cast<size_t>(s.rois) * s.output_dim * s.pooled * s.pooled) return;
  const Bin bin = bin_of(s, rois, index);
  float sum = 0.0f;
  for (int y = bin.rows.begin; bin.area && y < bin.rows.end; ++y) {
    for (int x = bin.columns.begin; x < bin.columns.end; ++x) sum += data[bin.plane + y * s.width + x];
  }
  out[bin.out] = bin.area ? sum / static_cast<float>(bin.area) : 0.0f;
}

// grad_data must be 0 on entry: bins overlap.
extern "C" __global__ void dff_psroi_backward(PsroiShape s, const float* __restrict__ grad_out, const float* __restrict__ rois,
                                              float* grad_data) {
  const size_t index = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index >= static_cast<size_t>(s.rois) * s.output_dim * s.pooled * s.pooled) return;
  const Bin bin = bin_of(s, rois, index);
  if (!bin.area) return;
  const float share = grad_out[bin.out] / static_cast<float>(bin.area);
  for (int y = bin.rows.begin; y < bin.rows.end; ++y) {
    for (int x = bin.columns.begin; x < bin.columns.end; ++x) atomicAdd(grad_data + bin.plane + y * s.width + x, share);
  }
}

}  // namespace dff
