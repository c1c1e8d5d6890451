#include "cpu.h"

#include "../common/cpu.h"

namespace dff {
namespace {

// One row of the pair from two rows of an image, which are the same one at the bottom of an odd image.
DFF_CLONES void halve_row(const float* upper, const float* lower, int width, float factor, float* out) {
  const int whole = width / 2;
  for (int x = 0; x < whole; ++x) {
    out[x] = mean_of_four(upper[2 * x], upper[2 * x + 1], lower[2 * x], lower[2 * x + 1]) * factor;
  }
  if (whole * 2 < width) {
    const int last = width - 1;
    out[whole] = mean_of_four(upper[last], upper[last], lower[last], lower[last]) * factor;
  }
}

}  // namespace

void image_pair_cpu(const ImagePairShape& s, const float* current, const float* reference, float* pair) {
  const int rows = s.rows(), columns = s.columns();
  const int planes = s.images * 2 * s.channels;
#pragma omp parallel for collapse(2)
  for (int plane = 0; plane < planes; ++plane) {
    for (int y = 0; y < rows; ++y) {
      const int image = plane / (2 * s.channels), channel = plane % (2 * s.channels);
      const bool is_current = channel < s.channels;
      const int source = is_current || s.references > 1 ? image : 0;
      const size_t place = static_cast<size_t>(source) * s.channels + channel % s.channels;
      const float* upper = (is_current ? current : reference) + (place * s.height + 2 * y) * s.width;
      const float* lower = upper + (2 * y + 1 < s.height ? s.width : 0);
      halve_row(upper, lower, s.width, s.factor, pair + (static_cast<size_t>(plane) * rows + y) * columns);
    }
  }
}

}  // namespace dff
