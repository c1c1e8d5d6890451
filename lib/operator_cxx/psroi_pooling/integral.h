// Regions' bins, and integral images that give the sum over any of them: what the poolings on the CPU share.
#pragma once
#include <vector>

#include "../common/cpu.h"
#include "element.h"

namespace dff {

// What all channels share about one region: the edges of its bins, as cell indices, and 1 / area of each bin.
struct Region {
  int index, image;
  const CellRange *rows, *columns;  // [pooled]
  const double* inverse_area;       // [pooled * pooled], 0 where the bin is empty
};

struct Regions {
  std::vector<CellRange> ranges;
  std::vector<double> areas;
  std::vector<std::vector<Region> > of_image;

  Regions(const PsroiShape& s, const float* rois)
      : ranges(static_cast<size_t>(s.rois) * s.pooled * 2), areas(static_cast<size_t>(s.rois) * s.pooled * s.pooled),
        of_image(s.images) {
    for (int r = 0; r < s.rois; ++r) {
      const float* roi = rois + static_cast<size_t>(r) * 5;
      CellRange *rows = &ranges[static_cast<size_t>(r) * s.pooled * 2], *columns = rows + s.pooled;
      double* inverse = &areas[static_cast<size_t>(r) * s.pooled * s.pooled];
      for (int b = 0; b < s.pooled; ++b) {
        rows[b] = bin_range(roi[2], roi[4], b, s.pooled, s.spatial_scale, s.height);
        columns[b] = bin_range(roi[1], roi[3], b, s.pooled, s.spatial_scale, s.width);
      }
      for (int b = 0; b < s.pooled * s.pooled; ++b) {
        const double area = static_cast<double>(rows[b / s.pooled].size()) * columns[b % s.pooled].size();
        inverse[b] = area > 0 ? 1.0 / area : 0.0;
      }
      const int image = image_of_roi(roi, s.images);
      const Region region = {r, image, rows, columns, inverse};
      if (image >= 0) of_image[image].push_back(region);
    }
  }
};

// table[y][x][lane] = sum of data[lane][0..y)[0..x), in double: differences of it are exact to far below float precision.
// It has height + 1 rows and width + 1 columns. Takes slot 0 of the thread's scratch floats.
void integral_image(const float* data, size_t channel_stride, int lanes, int height, int width, double* table);

// A bin as cells of a table, and 1 / its area, 0 where it is empty.
template <typename Real>
struct Place {
  unsigned top_left, top_right, bottom_left, bottom_right;
  Real scale;
};

// [regions][bins], of all regions one after the other.
template <typename Real>
std::vector<Place<Real> > places_of(const std::vector<Region>& regions, int pooled, int width) {
  std::vector<Place<Real> > places;
  places.reserve(regions.size() * pooled * pooled);
  for (const Region& region : regions) {
    for (int bin = 0; bin < pooled * pooled; ++bin) {
      const CellRange &rows = region.rows[bin / pooled], &columns = region.columns[bin % pooled];
      const unsigned pitch = width + 1, top = rows.begin * pitch, bottom = rows.end * pitch;
      const Place<Real> place = {top + columns.begin, top + columns.end, bottom + columns.begin, bottom + columns.end,
                                 static_cast<Real>(region.inverse_area[bin])};
      places.push_back(place);
    }
  }
  return places;
}

// Offsets of a bin's four corners in a table of (width + 1) columns.
struct Corners {
  size_t top_left, top_right, bottom_left, bottom_right;
};

DFF_INLINE Corners corners_of(const CellRange& rows, const CellRange& columns, int width) {
  const size_t top = static_cast<size_t>(rows.begin) * (width + 1), bottom = static_cast<size_t>(rows.end) * (width + 1);
  const Corners c = {(top + columns.begin) * kLanes, (top + columns.end) * kLanes,
                     (bottom + columns.begin) * kLanes, (bottom + columns.end) * kLanes};
  return c;
}

}  // namespace dff
