#include "cpu.h"

#include <vector>

#include "../common/cpu.h"
#include "../common/parallel.h"

namespace dff {
namespace {

const int kChunk = 256;  // columns whose best scores stay in the first-level cache

enum { kUpper, kLower };  // scratch slots

// Row `row` of the map, all classes, at the places of the image's columns: [C, h, w] -> [C, W].
DFF_CLONES void stretch_row(const ClassMapShape& s, const float* score, int row, const Between* across, float* out) {
  for (int c = 0; c < s.classes; ++c) {
    const float* cells = score + (static_cast<size_t>(c) * s.height + row) * s.width;
    float* to = out + static_cast<size_t>(c) * s.columns;
    for (int x = 0; x < s.columns; ++x) to[x] = mixed(cells[across[x].low], cells[across[x].high], across[x].part);
  }
}

// The classes of one row of the image, between two stretched rows of the map.
DFF_CLONES void choose_row(const ClassMapShape& s, const float* upper, const float* lower, float part, unsigned char* labels) {
  float best[kChunk];
  int label[kChunk];
  for (int start = 0; start < s.columns; start += kChunk) {
    const int count = min_int(kChunk, s.columns - start);
    for (int i = 0; i < count; ++i) {
      best[i] = kLowest;
      label[i] = 0;
    }
    for (int c = 0; c < s.classes; ++c) {
      const float* a = upper + static_cast<size_t>(c) * s.columns + start;
      const float* b = lower + static_cast<size_t>(c) * s.columns + start;
      for (int i = 0; i < count; ++i) {
        const float value = mixed(a[i], b[i], part);
        label[i] = value > best[i] ? c : label[i];
        best[i] = value > best[i] ? value : best[i];
      }
    }
    for (int i = 0; i < count; ++i) labels[start + i] = static_cast<unsigned char>(label[i]);
  }
}

// Rows of the image from `first` to before `end`.
void choose_rows(const ClassMapShape& s, const float* score, const float* rows, const Between* across, int first, int end,
                 unsigned char* labels) {
  const size_t size = static_cast<size_t>(s.classes) * s.columns;
  float *upper = scratch<float>(kUpper, size), *lower = scratch<float>(kLower, size);
  int held = -1;
  for (int y = first; y < end; ++y) {
    const Between down = between_cells(rows[y], s.height);
    if (down.low != held) {
      stretch_row(s, score, down.low, across, upper);
      stretch_row(s, score, down.high, across, lower);
      held = down.low;
    }
    choose_row(s, upper, lower, down.part, labels + static_cast<size_t>(y) * s.columns);
  }
}

}  // namespace

void class_map_cpu(const ClassMapShape& s, const float* score, const float* rows, const float* columns, unsigned char* labels) {
  std::vector<Between> across(s.columns);
  for (int x = 0; x < s.columns; ++x) across[x] = between_cells(columns[x], s.width);
  const int step = 16;  // image rows between two of the map, usually
  Caught caught;
#pragma omp parallel for
  for (int first = 0; first < s.rows; first += step) {
    caught.run([&] { choose_rows(s, score, rows, across.data(), first, min_int(first + step, s.rows), labels); });
  }
  caught.rethrow();
}

}  // namespace dff
