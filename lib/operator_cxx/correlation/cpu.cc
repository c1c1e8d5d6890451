#include "cpu.h"

#include "../common/cpu.h"
#include "../common/parallel.h"

namespace dff {
namespace {

const int kPlanes = 4;  // computed at once

enum { kCurrent, kReference, kGradient };  // scratch slots

// Floats of a padded row: zeros for the largest displacement on both sides, and whole vectors from every cell on.
size_t stride_of(const CorrelationShape& s) { return 2 * s.displacement + (s.width + kLanes - 1) / kLanes * kLanes; }

// Rows of the padded maps of all images; more than an int holds, as may be what is computed from it.
long long padded_rows(const CorrelationShape& s) { return static_cast<long long>(s.images) * (s.height + 2 * s.displacement); }

size_t padded_size(const CorrelationShape& s) { return padded_rows(s) * s.channels * stride_of(s); }

// `map` as [images][rows][channels][stride], with as many rows and columns of zeros around it as the largest displacement has cells:
// all that one row of the output reads lies together.
void pad(const CorrelationShape& s, const float* map, float* padded) {
  const int d = s.displacement, rows = s.height + 2 * d;
  const size_t stride = stride_of(s);
#pragma omp parallel for
  for (long long row = 0; row < padded_rows(s); ++row) {
    const int n = static_cast<int>(row / rows), y = static_cast<int>(row % rows) - d;
    float* to = padded + row * s.channels * stride;
    memset(to, 0, s.channels * stride * sizeof(float));
    if (y < 0 || y >= s.height) continue;
    for (int c = 0; c < s.channels; ++c) {
      const float* from = map + ((static_cast<size_t>(n) * s.channels + c) * s.height + y) * s.width;
      memcpy(to + c * stride + d, from, s.width * sizeof(float));
    }
  }
}

// A vector of cells from x on, of which those within the map are written.
DFF_INLINE void store_cells(const Eight& value, int x, int width, float* row) {
  if (x + kLanes <= width) {
    store_eight(row + x, value);
  } else {
    memcpy(row + x, &value, (width - x) * sizeof(float));
  }
}

// kCount planes that follow one another, from the row `out` on: a vector of the current map is read once for all of them.
template <int kCount>
DFF_INLINE void forward_planes(const CorrelationShape& s, size_t stride, const float* current, const float* reference, float* out) {
  const float share = 1.0f / static_cast<float>(s.channels);
  for (int x = 0; x < s.width; x += kLanes) {
    Eight sums[kCount] = {};
    for (int c = 0; c < s.channels; ++c) {
      const Eight value = load_eight(current + c * stride + x);
      for (int k = 0; k < kCount; ++k) sums[k] += value * load_eight(reference + c * stride + x + k);
    }
    for (int k = 0; k < kCount; ++k) store_cells(sums[k] * share, x, s.width, out + static_cast<size_t>(k) * s.height * s.width);
  }
}

// One row of all planes. current, reference: the padded rows of that number; out: the row of plane 0.
DFF_CLONES void forward_row(const CorrelationShape& s, size_t stride, const float* current, const float* reference, float* out) {
  const int d = s.displacement;
  const size_t plane = static_cast<size_t>(s.height) * s.width;
  for (int dy = -d; dy <= d; ++dy) {
    const float* row = reference + dy * static_cast<ptrdiff_t>(s.channels * stride);
    int first = 0;
    for (; first + kPlanes <= s.side(); first += kPlanes, out += kPlanes * plane) {
      forward_planes<kPlanes>(s, stride, current + d, row + first, out);
    }
    for (; first < s.side(); ++first, out += plane) forward_planes<1>(s, stride, current + d, row + first, out);
  }
}

// One row of a map's gradient (direction as in gather) from `other`, the other map's padded row of that number. gradients: what
// gather has put together; out: the row of channel 0.
DFF_CLONES void backward_row(const CorrelationShape& s, size_t stride, int direction, const float* gradients, const float* other, float* out) {
  const int d = s.displacement;
  const float share = 1.0f / static_cast<float>(s.channels);
  for (int c = 0; c < s.channels; ++c, out += static_cast<size_t>(s.height) * s.width) {
    for (int x = 0; x < s.width; x += kLanes) {
      Eight sum = {0};
      const float* gradient = gradients + d + x;
      for (int dy = -d; dy <= d; ++dy) {
        const float* row = other + direction * dy * static_cast<ptrdiff_t>(s.channels * stride) + c * stride + d + x;
        for (int dx = -d; dx <= d; ++dx, gradient += stride) {
          sum += load_eight(direction > 0 ? gradient : gradient - dx) * load_eight(row + direction * dx);
        }
      }
      store_cells(sum * share, x, s.width, out);
    }
  }
}

// For every plane the row of grad_out, zeros around it, that row y of a gradient takes: y itself for the current map (direction 1),
// the one that looked at y for the reference (-1).
void gather(const CorrelationShape& s, size_t stride, int direction, const float* grad_out, int y, float* rows) {
  const int d = s.displacement;
  memset(rows, 0, s.planes() * stride * sizeof(float));
  for (int plane = 0; plane < s.planes(); ++plane) {
    const int from = direction > 0 ? y : y - (plane / s.side() - d);
    if (from < 0 || from >= s.height) continue;
    memcpy(rows + plane * stride + d, grad_out + (static_cast<size_t>(plane) * s.height + from) * s.width, s.width * sizeof(float));
  }
}

void gradient(const CorrelationShape& s, int direction, const float* grad_out, const float* other, float* out) {
  const int d = s.displacement;
  const size_t stride = stride_of(s);
  Caught caught;
#pragma omp parallel for
  for (int row = 0; row < s.images * s.height; ++row) {
    caught.run([&] {
      const int n = row / s.height, y = row % s.height;
      float* rows = scratch<float>(kGradient, s.planes() * stride);
      gather(s, stride, direction, grad_out + static_cast<size_t>(n) * s.planes() * s.height * s.width, y, rows);
      const float* padded = other + (static_cast<size_t>(n) * (s.height + 2 * d) + d + y) * s.channels * stride;
      backward_row(s, stride, direction, rows, padded, out + (static_cast<size_t>(n) * s.channels * s.height + y) * s.width);
    });
  }
  caught.rethrow();
}

}  // namespace

void correlation_forward_cpu(const CorrelationShape& s, const float* current, const float* reference, float* out) {
  const int d = s.displacement;
  const size_t stride = stride_of(s);
  float *padded_current = scratch<float>(kCurrent, padded_size(s)), *padded_reference = scratch<float>(kReference, padded_size(s));
  pad(s, current, padded_current);
  pad(s, reference, padded_reference);
#pragma omp parallel for
  for (int row = 0; row < s.images * s.height; ++row) {
    const int n = row / s.height, y = row % s.height;
    const size_t at = (static_cast<size_t>(n) * (s.height + 2 * d) + d + y) * s.channels * stride;
    forward_row(s, stride, padded_current + at, padded_reference + at, out + (static_cast<size_t>(n) * s.planes() * s.height + y) * s.width);
  }
}

void correlation_backward_cpu(const CorrelationShape& s, const float* grad_out, const float* current, const float* reference,
                              float* grad_current, float* grad_reference) {
  float *padded_current = scratch<float>(kCurrent, padded_size(s)), *padded_reference = scratch<float>(kReference, padded_size(s));
  pad(s, current, padded_current);
  pad(s, reference, padded_reference);
  gradient(s, 1, grad_out, padded_reference, grad_current);
  gradient(s, -1, grad_out, padded_current, grad_reference);
}

}  // namespace dff
