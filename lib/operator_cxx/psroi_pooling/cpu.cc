#include "cpu.h"

#include "../common/parallel.h"
#include "integral.h"

namespace dff {
namespace {

enum { kRow, kTable, kBinTable };  // scratch slots

DFF_CLONES void integrate(const float* data, size_t channel_stride, int lanes, int height, int width, double* table) {
  float* row = scratch<float>(kRow, static_cast<size_t>(width) * kLanes);
  const size_t pitch = static_cast<size_t>(width + 1) * kLanes;
  memset(table, 0, pitch * sizeof(double));
  for (int y = 0; y < height; ++y) {
    load_lanes(data + static_cast<size_t>(y) * width, channel_stride, lanes, width, row);
    const double* above = table + y * pitch;
    double *here = table + (y + 1) * pitch, sum[kLanes] = {0};
    memset(here, 0, kLanes * sizeof(double));
    for (int x = 0; x < width; ++x) {
#pragma omp simd
      for (int l = 0; l < kLanes; ++l) {
        sum[l] += row[x * kLanes + l];
        here[(x + 1) * kLanes + l] = above[(x + 1) * kLanes + l] + sum[l];
      }
    }
  }
}

// Eight output channels of one image at one place of the position-sensitive grid.
struct Task {
  int image, channel, lanes, group_row, group_column;

  size_t plane_of(const PsroiShape& s, int lane) const {
    const size_t input = (static_cast<size_t>(channel + lane) * s.group + group_row) * s.group + group_column;
    return (static_cast<size_t>(image) * s.channels() + input) * s.height * s.width;
  }
};

size_t output_of(const PsroiShape& s, int roi, int channel, int row, int column) {
  return ((static_cast<size_t>(roi) * s.output_dim + channel) * s.pooled + row) * s.pooled + column;
}

// The inverse: data[lane][y][x] = sum of table[0..y][0..x][lane]; the last row and column of the table are not read.
DFF_CLONES void integrate_back(const double* table, size_t channel_stride, int lanes, int height, int width, float* data) {
  float* row = scratch<float>(kRow, static_cast<size_t>(width) * kLanes);
  double* column_sums = scratch<double>(kBinTable, static_cast<size_t>(width) * kLanes);
  memset(column_sums, 0, static_cast<size_t>(width) * kLanes * sizeof(double));
  for (int y = 0; y < height; ++y) {
    const double* here = table + static_cast<size_t>(y) * (width + 1) * kLanes;
    double sum[kLanes] = {0};
    for (int x = 0; x < width; ++x) {
#pragma omp simd
      for (int l = 0; l < kLanes; ++l) {
        column_sums[x * kLanes + l] += here[x * kLanes + l];
        sum[l] += column_sums[x * kLanes + l];
        row[x * kLanes + l] = static_cast<float>(sum[l]);
      }
    }
    store_lanes(row, channel_stride, lanes, width, data + static_cast<size_t>(y) * width);
  }
}

DFF_CLONES void pool_bins(const PsroiShape& s, const Task& task, const std::vector<Region>& regions, int row, int column,
                          const double* table, float* out) {
  const int bin = row * s.pooled + column;
  for (const Region& region : regions) {
    const Corners c = corners_of(region.rows[row], region.columns[column], s.width);
    const double scale = region.inverse_area[bin];
    float mean[kLanes];
#pragma omp simd
    for (int l = 0; l < kLanes; ++l) {
      const double sum = table[c.bottom_right + l] - table[c.top_right + l] - table[c.bottom_left + l] + table[c.top_left + l];
      mean[l] = static_cast<float>(scale > 0 ? sum * scale : 0.0);
    }
    float* to = out + output_of(s, region.index, task.channel, row, column);
    for (int l = 0; l < task.lanes; ++l) to[l * s.pooled * s.pooled] = mean[l];
  }
}

// A channel that holds infinity or NaN spoils every difference of its table: such channels are summed cell by cell.
void pool_bins_directly(const PsroiShape& s, const Task& task, const std::vector<Region>& regions, int row, int column,
                        int lane, const float* data, float* out) {
  const float* plane = data + task.plane_of(s, lane);
  for (const Region& region : regions) {
    const double scale = region.inverse_area[row * s.pooled + column];
    double sum = 0;
    for (int y = region.rows[row].begin; scale > 0 && y < region.rows[row].end; ++y) {
      for (int x = region.columns[column].begin; x < region.columns[column].end; ++x) sum += plane[y * s.width + x];
    }
    out[output_of(s, region.index, task.channel + lane, row, column)] = static_cast<float>(sum * scale);
  }
}

// Adds each bin's gradient to its corners; integrate_back then spreads it over the bin.  Returns a bit for every lane
// that met a gradient that is not finite.
DFF_CLONES int spread_bins(const PsroiShape& s, const Task& task, const std::vector<Region>& regions, int row, int column,
                           const float* grad_out, double* table) {
  const int bin = row * s.pooled + column;
  double check[kLanes] = {0};
  for (const Region& region : regions) {
    const double scale = region.inverse_area[bin];
    if (!(scale > 0)) continue;
    const Corners c = corners_of(region.rows[row], region.columns[column], s.width);
    const float* from = grad_out + output_of(s, region.index, task.channel, row, column);
    double share[kLanes] = {0};
    for (int l = 0; l < task.lanes; ++l) share[l] = from[l * s.pooled * s.pooled] * scale;
#pragma omp simd
    for (int l = 0; l < kLanes; ++l) {
      check[l] += share[l] - share[l];
      table[c.top_left + l] += share[l];
      table[c.top_right + l] -= share[l];
      table[c.bottom_left + l] -= share[l];
      table[c.bottom_right + l] += share[l];
    }
  }
  int spoilt = 0;
  for (int l = 0; l < task.lanes; ++l) spoilt |= (check[l] == 0 ? 0 : 1) << l;
  return spoilt;
}

void spread_bins_directly(const PsroiShape& s, const Task& task, const std::vector<Region>& regions, int row, int column,
                          int lane, const float* grad_out, float* grad_data) {
  float* plane = grad_data + task.plane_of(s, lane);
  for (const Region& region : regions) {
    const double scale = region.inverse_area[row * s.pooled + column];
    const float share = static_cast<float>(
        grad_out[output_of(s, region.index, task.channel + lane, row, column)] * scale);
    for (int y = region.rows[row].begin; scale > 0 && y < region.rows[row].end; ++y) {
      for (int x = region.columns[column].begin; x < region.columns[column].end; ++x) plane[y * s.width + x] += share;
    }
  }
}

// Calls body(row, column) for every bin that reads the task's place of the grid.
template <typename Body>
void for_bins(const PsroiShape& s, const Task& task, Body body) {
  for (int row = 0; row < s.pooled; ++row) {
    if (group_of_bin(row, s.pooled, s.group) != task.group_row) continue;
    for (int column = 0; column < s.pooled; ++column) {
      if (group_of_bin(column, s.pooled, s.group) == task.group_column) body(row, column);
    }
  }
}

void forward_task(const PsroiShape& s, const Task& task, const std::vector<Region>& regions, const float* data, float* out) {
  const size_t cells = static_cast<size_t>(s.height + 1) * (s.width + 1);
  const size_t channel_stride = static_cast<size_t>(s.group) * s.group * s.height * s.width;
  double* table = scratch<double>(kTable, cells * kLanes);
  integral_image(data + task.plane_of(s, 0), channel_stride, task.lanes, s.height, s.width, table);
  for_bins(s, task, [&](int row, int column) {
    pool_bins(s, task, regions, row, column, table, out);
    for (int l = 0; l < task.lanes; ++l) {
      const double total = table[(cells - 1) * kLanes + l];
      if (total - total != 0) pool_bins_directly(s, task, regions, row, column, l, data, out);
    }
  });
}

void backward_task(const PsroiShape& s, const Task& task, const std::vector<Region>& regions, const float* grad_out,
                   float* grad_data) {
  const size_t cells = static_cast<size_t>(s.height + 1) * (s.width + 1);
  const size_t plane = static_cast<size_t>(s.height) * s.width;
  double* table = scratch<double>(kTable, cells * kLanes);
  memset(table, 0, cells * kLanes * sizeof(double));
  int spoilt = 0;
  for_bins(s, task, [&](int row, int column) {
    spoilt |= spread_bins(s, task, regions, row, column, grad_out, table);
  });
  integrate_back(table, plane * s.group * s.group, task.lanes, s.height, s.width, grad_data + task.plane_of(s, 0));
  for (int l = 0; l < task.lanes; ++l) {
    if (!(spoilt >> l & 1)) continue;
    memset(grad_data + task.plane_of(s, l), 0, plane * sizeof(float));
    for_bins(s, task, [&](int row, int column) {
      spread_bins_directly(s, task, regions, row, column, l, grad_out, grad_data);
    });
  }
}

template <typename Body>
void for_tasks(const PsroiShape& s, Body body) {
  const int blocks = (s.output_dim + kLanes - 1) / kLanes, tasks = s.images * blocks * s.group;
  Caught caught;
#pragma omp parallel for
  for (int t = 0; t < tasks; ++t) {
    const int channel = t / s.group % blocks * kLanes;
    Task task = {t / s.group / blocks, channel, min_int(kLanes, s.output_dim - channel), t % s.group, 0};
    caught.run([&] {
      for (; task.group_column < s.group; ++task.group_column) body(task);
    });
  }
  caught.rethrow();
}

}  // namespace

void integral_image(const float* data, size_t channel_stride, int lanes, int height, int width, double* table) {
  integrate(data, channel_stride, lanes, height, width, table);
}

void psroi_forward_cpu(const PsroiShape& s, const float* data, const float* rois, float* out) {
  const Regions regions(s, rois);
  const size_t values = static_cast<size_t>(s.output_dim) * s.pooled * s.pooled;
  for (int r = 0; r < s.rois; ++r) {
    if (image_of_roi(rois + static_cast<size_t>(r) * 5, s.images) < 0) memset(out + r * values, 0, values * sizeof(float));
  }
  for_tasks(s, [&](const Task& task) { forward_task(s, task, regions.of_image[task.image], data, out); });
}

void psroi_backward_cpu(const PsroiShape& s, const float* grad_out, const float* rois, float* grad_data) {
  const Regions regions(s, rois);
  for_tasks(s, [&](const Task& task) { backward_task(s, task, regions.of_image[task.image], grad_out, grad_data); });
}

}  // namespace dff
