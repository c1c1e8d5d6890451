#include "cpu.h"

#include <algorithm>

#include "../common/gemm.h"
#include "../common/parallel.h"
#include "../psroi_pooling/integral.h"

namespace dff {
namespace {

static_assert(kScoreLanes == kLanes, "integral images have a chunk's channels as lanes");

enum { kRow, kRows, kProducts, kParts };  // scratch slots of floats; integral_image has the first
enum { kOther, kTable };                  // of doubles

const int kBlock = 8 * kGemmRows;  // regions at a time: their pooled features stay in the second-level cache

// to[region][bin][lane] = means of the bins.
DFF_CLONES void pool(const Place<double>* places, int regions, int bins, const double* table, float* to, size_t pitch) {
  for (int r = 0; r < regions; ++r) {
    for (int bin = 0; bin < bins; ++bin) {
      const Place<double>& place = places[static_cast<size_t>(r) * bins + bin];
      const double *a = table + static_cast<size_t>(place.top_left) * kLanes, *b = table + static_cast<size_t>(place.top_right) * kLanes;
      const double *c = table + static_cast<size_t>(place.bottom_left) * kLanes, *d = table + static_cast<size_t>(place.bottom_right) * kLanes;
      const double scale = place.scale;
      float* out = to + r * pitch + static_cast<size_t>(bin) * kLanes;
#pragma omp simd
      for (int l = 0; l < kLanes; ++l) {
        const double sum = d[l] - b[l] - c[l] + a[l];
        out[l] = static_cast<float>(scale > 0 ? sum * scale : 0.0);
      }
    }
  }
}

// A channel that holds infinity or NaN spoils every difference of its table: such channels are summed cell by cell.
void pool_directly(const PooledScoresShape& s, const Region* regions, int count, const float* plane, float* to, size_t pitch) {
  for (int r = 0; r < count; ++r) {
    for (int bin = 0; bin < s.bins(); ++bin) {
      const CellRange &rows = regions[r].rows[bin / s.pooled], &columns = regions[r].columns[bin % s.pooled];
      const double scale = regions[r].inverse_area[bin];
      double sum = 0;
      for (int y = rows.begin; scale > 0 && y < rows.end; ++y) {
        for (int x = columns.begin; x < columns.end; ++x) sum += plane[static_cast<size_t>(y) * s.width + x];
      }
      to[r * pitch + static_cast<size_t>(bin) * kLanes] = static_cast<float>(sum * scale);
    }
  }
}

// What a chunk of channels adds to the scores of one image's regions: part [R, panels * 16], at the regions' own rows.
void score_chunk(const PooledScoresShape& s, int chunk, const float* data, const std::vector<Region>& regions,
                 const std::vector<Place<double> >& places, const float* weight, float* part) {
  const size_t plane = static_cast<size_t>(s.height) * s.width, cells = static_cast<size_t>(s.height + 1) * (s.width + 1);
  const size_t pitch = s.depth() + 16;  // not a power of two, whose rows would fall into the same few lines of the caches
  const size_t columns = static_cast<size_t>(s.panels()) * kScorePanel;
  const int lanes = min_int(kLanes, s.channels - chunk * kLanes);
  const float* from = data + chunk * kLanes * plane;
  double* table = scratch<double>(kTable, cells * kLanes);
  float *rows = scratch<float>(kRows, kBlock * pitch), *products = scratch<float>(kProducts, kBlock * columns);
  integral_image(from, plane, lanes, s.height, s.width, table);
  for (size_t first = 0; first < regions.size(); first += kBlock) {
    const int count = static_cast<int>(std::min<size_t>(kBlock, regions.size() - first));
    pool(&places[first * s.bins()], count, s.bins(), table, rows, pitch);
    for (int l = 0; l < lanes; ++l) {
      const double total = table[(cells - 1) * kLanes + l];
      if (total - total != 0) pool_directly(s, &regions[first], count, from + l * plane, rows + l, pitch);
    }
    // Rows behind the last region hold older values, and make rows that nothing reads.
    multiply(rows, pitch, (count + kGemmRows - 1) / kGemmRows * kGemmRows, s.depth(),
             weight + static_cast<size_t>(chunk) * s.panels() * s.depth() * kScorePanel, s.panels(), products, columns);
    for (int r = 0; r < count; ++r) {
      memcpy(part + regions[first + r].index * columns, products + r * columns, columns * sizeof(float));
    }
  }
}

// The chunks' parts of one region, always in the same order, and the biases of the bins that are not empty.
DFF_CLONES void join(const PooledScoresShape& s, const Region& region, const float* parts, const float* bias, float* out) {
  const size_t columns = static_cast<size_t>(s.panels()) * kScorePanel;
  std::fill(out, out + s.outputs, 0.0f);
  for (int chunk = 0; chunk < s.chunks(); ++chunk) {
    const float* from = parts + (static_cast<size_t>(chunk) * s.rois + region.index) * columns;
    for (int o = 0; o < s.outputs; ++o) out[o] += from[o];
  }
  for (int bin = 0; bin < s.bins(); ++bin) {
    if (!(region.inverse_area[bin] > 0)) continue;
    for (int o = 0; o < s.outputs; ++o) out[o] += bias[static_cast<size_t>(bin) * s.outputs + o];
  }
}

}  // namespace

void pooled_scores_cpu(const PooledScoresShape& s, const float* data, const float* rois, const float* weight,
                       const float* bias, float* out) {
  const PsroiShape pooling = {s.images, s.height, s.width, s.rois, 1, s.pooled, 1, s.spatial_scale};
  const Regions regions(pooling, rois);
  const size_t part = static_cast<size_t>(s.rois) * s.panels() * kScorePanel;
  float* parts = scratch<float>(kParts, s.chunks() * part);
  std::fill(out, out + static_cast<size_t>(s.rois) * s.outputs, 0.0f);  // those of no image keep it
  for (int image = 0; image < s.images; ++image) {
    const std::vector<Region>& own = regions.of_image[image];
    const std::vector<Place<double> > places = places_of<double>(own, s.pooled, s.width);
    const int count = static_cast<int>(own.size());
    Caught caught;
#pragma omp parallel
    {
#pragma omp for schedule(dynamic)
      for (int chunk = 0; chunk < s.chunks(); ++chunk) {
        caught.run([&] { score_chunk(s, chunk, data + s.offset(image), own, places, weight, parts + chunk * part); });
      }
#pragma omp for
      for (int r = 0; r < count; ++r) {
        join(s, own[r], parts, bias, out + static_cast<size_t>(own[r].index) * s.outputs);
      }
    }
    caught.rethrow();
  }
}

}  // namespace dff
