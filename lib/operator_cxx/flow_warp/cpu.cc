#include "cpu.h"

#include <omp.h>

#include "../common/cpu.h"
#include "../common/parallel.h"

namespace dff {
namespace {

const int kChunk = 32;  // pixels that go through the vector loops at a time: their lanes stay in the first-level cache

enum { kFeature, kGradFeature, kTaps, kFlowParts };  // scratch slots

// Pointers to one block of channels of one image (null where a tensor is absent).
struct Block {
  size_t plane;
  int lanes;
  const float *scale, *grad_out;
  float *out, *grad_scale, *grad_flow;
};

DFF_CLONES void load_block(const float* from, size_t plane, int lanes, float* to) {
  load_lanes(from, plane, lanes, static_cast<int>(plane), to);
}

DFF_CLONES void store_block(const float* from, size_t plane, int lanes, float* to) {
  store_lanes(from, plane, lanes, static_cast<int>(plane), to);
}

DFF_CLONES void forward_block(const Block& b, const WarpTap* taps, const float* feature) {
  float value[kChunk * kLanes], scale[kChunk * kLanes];
  for (size_t start = 0; start < b.plane; start += kChunk) {
    const int count = static_cast<int>(b.plane - start < kChunk ? b.plane - start : kChunk);
    if (b.scale) load_lanes(b.scale + start, b.plane, b.lanes, count, scale);
    for (int i = 0; i < count; ++i) {
      const WarpTap& tap = taps[start + i];
      Eight sum = tap.weight[0] * load_eight(feature + tap.offset[0] * kLanes);
      for (int k = 1; k < 4; ++k) sum += tap.weight[k] * load_eight(feature + tap.offset[k] * kLanes);
      store_eight(value + i * kLanes, sum);
    }
    if (b.scale) {
      for (int i = 0; i < count * kLanes; i += kLanes) {
        store_eight(value + i, load_eight(value + i) * load_eight(scale + i));
      }
    }
    store_lanes(value, b.plane, b.lanes, count, b.out + start);
  }
}

// to[i] += sum of from[i][lane].
DFF_INLINE void add_lanes(const float* from, int count, float* to) {
  for (int i = 0; i < count; ++i) {
    const Four sum = load_four(from + i * kLanes) + load_four(from + i * kLanes + 4);
    to[i] += (sum[0] + sum[2]) + (sum[1] + sum[3]);
  }
}

// Gradients of eight channels of one image.  `gradient` holds d out / d warped on entry to the pixel loop (grad_out * scale).
DFF_CLONES void backward_block(const Block& b, const WarpTap* taps, const float* feature, float* grad_feature) {
  float gradient[kChunk * kLanes], scale[kChunk * kLanes], value[kChunk * kLanes];
  float along_x[kChunk * kLanes], along_y[kChunk * kLanes];
  memset(value, 0, sizeof(value));  // the last chunk may not fill it
  for (size_t start = 0; start < b.plane; start += kChunk) {
    const int count = static_cast<int>(b.plane - start < kChunk ? b.plane - start : kChunk);
    load_lanes(b.grad_out + start, b.plane, b.lanes, count, value);
    memcpy(gradient, value, sizeof(gradient));
    if (b.scale) {
      load_lanes(b.scale + start, b.plane, b.lanes, count, scale);
      for (int i = 0; i < count * kLanes; i += kLanes) {
        store_eight(gradient + i, load_eight(value + i) * load_eight(scale + i));
      }
    }
    for (int i = 0; i < count; ++i) {
      const WarpTap& tap = taps[start + i];
      const Eight g = load_eight(gradient + i * kLanes);
      Eight sum = {0}, x = {0}, y = {0};
      for (int k = 0; k < 4; ++k) {
        const Eight f = load_eight(feature + tap.offset[k] * kLanes);
        sum += tap.weight[k] * f;
        x += tap.slope_x[k] * f;
        y += tap.slope_y[k] * f;
      }
      store_eight(value + i * kLanes, load_eight(value + i * kLanes) * sum);
      store_eight(along_x + i * kLanes, x * g);
      store_eight(along_y + i * kLanes, y * g);
      if (!reads_map(tap)) continue;
      for (int k = 0; k < 4; ++k) {  // one after the other: at the border two of them may be the same cell
        float* to = grad_feature + tap.offset[k] * kLanes;
        store_eight(to, load_eight(to) + tap.weight[k] * g);
      }
    }
    add_lanes(along_x, count, b.grad_flow + start);
    add_lanes(along_y, count, b.grad_flow + start + b.plane);
    if (b.scale) store_lanes(value, b.plane, b.lanes, count, b.grad_scale + start);
  }
}

}  // namespace

void fill_taps(const WarpShape& s, const float* flow, WarpTap* taps) {
  const int plane = s.height * s.width;
#pragma omp parallel for
  for (int row = 0; row < s.images * s.height; ++row) {
    const int n = row / s.height, y = row % s.height;
    const float* flow_x = flow + (static_cast<size_t>(n) * 2 * s.height + y) * s.width;
    for (int x = 0; x < s.width; ++x) {
      taps[static_cast<size_t>(row) * s.width + x] = warp_tap(x, y, flow_x[x], flow_x[x + plane], s.height, s.width);
    }
  }
}

void warp_forward_cpu(const WarpShape& s, const float* feature, const float* flow, const float* scale, float* out) {
  const size_t plane = static_cast<size_t>(s.height) * s.width;
  WarpTap* taps = scratch<WarpTap>(kTaps, plane * s.images);
  fill_taps(s, flow, taps);
  Caught caught;
#pragma omp parallel for
  for (int channel = 0; channel < s.channels; channel += kLanes) {
    caught.run([&] {
      float* lanes = scratch<float>(kFeature, plane * kLanes);
      for (int n = 0; n < s.images; ++n) {
        const size_t at = (static_cast<size_t>(n) * s.channels + channel) * plane;
        const Block block = {plane, min_int(kLanes, s.channels - channel), scale ? scale + at : nullptr, nullptr,
                             out + at, nullptr, nullptr};
        if (n < s.feature_images) load_block(feature + at, plane, block.lanes, lanes);
        forward_block(block, taps + n * plane, lanes);
      }
    });
  }
  caught.rethrow();
}

void warp_backward_cpu(const WarpShape& s, const float* grad_out, const float* feature, const float* flow,
                       const float* scale, float* grad_feature, float* grad_flow, float* grad_scale) {
  const size_t plane = static_cast<size_t>(s.height) * s.width, flow_size = plane * 2 * s.images;
  WarpTap* taps = scratch<WarpTap>(kTaps, plane * s.images);
  fill_taps(s, flow, taps);
  // Every thread sums the flow gradient of its channels; the parts are added in order, so that equal runs give equal bits.
  const int threads = omp_get_max_threads();
  float* parts = scratch<float>(kFlowParts, flow_size * threads);
  memset(parts, 0, flow_size * threads * sizeof(float));
  Caught caught;
#pragma omp parallel for schedule(static)
  for (int channel = 0; channel < s.channels; channel += kLanes) {
    caught.run([&] {
      float* lanes = scratch<float>(kFeature, plane * kLanes);
      float* grad_lanes = scratch<float>(kGradFeature, plane * kLanes);
      float* my_part = parts + flow_size * omp_get_thread_num();
      for (int n = 0; n < s.images; ++n) {
        const size_t at = (static_cast<size_t>(n) * s.channels + channel) * plane;
        const Block block = {plane, min_int(kLanes, s.channels - channel), scale ? scale + at : nullptr, grad_out + at,
                             nullptr, scale ? grad_scale + at : nullptr, my_part + n * plane * 2};
        if (n < s.feature_images) {
          load_block(feature + at, plane, block.lanes, lanes);
          memset(grad_lanes, 0, plane * kLanes * sizeof(float));
        }
        backward_block(block, taps + n * plane, lanes, grad_lanes);
        // A shared feature map collects the gradients of all images before it is written.
        if (s.feature_images > 1 || n + 1 == s.images) {
          store_block(grad_lanes, plane, block.lanes, grad_feature + (s.feature_images > 1 ? at : channel * plane));
        }
      }
    });
  }
  caught.rethrow();
#pragma omp parallel for
  for (long long i = 0; i < static_cast<long long>(flow_size); ++i) {
    float sum = 0.0f;
    for (int t = 0; t < threads; ++t) sum += parts[flow_size * t + i];
    grad_flow[i] = sum;
  }
}

}  // namespace dff
