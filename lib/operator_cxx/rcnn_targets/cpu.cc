#include "cpu.h"

#include <algorithm>
#include <vector>

#include "../common/parallel.h"

namespace dff {
namespace {

typedef unsigned long long Key;

int index_of(Key key) { return static_cast<int>(key & 0xffffffffu); }

// Of more than foreground_limit foreground candidates, those with the smallest chances become neither.
void limit_foreground(const TargetShape& s, const float* chance, std::vector<Match>* matches) {
  std::vector<Key> keys;
  for (int i = 0; i < s.candidates(); ++i) {
    if ((*matches)[i].label > 0) keys.push_back(foreground_key(s, chance ? chance[i] : 0, i));
  }
  std::sort(keys.begin(), keys.end());
  for (size_t k = s.foreground_limit; k < keys.size(); ++k) (*matches)[s.candidates() - 1 - index_of(keys[k])].label = -1;
}

void targets_of_image(const TargetShape& s, int image, const float* rois, const float* truths, const float* chance, const TargetRows& out) {
  const int count = s.candidates();
  const float* mine = chance ? chance + static_cast<size_t>(image) * count : nullptr;
  std::vector<Match> matches(count);
  std::vector<Key> keys(count);
  for (int i = 0; i < count; ++i) matches[i] = match_candidate(s, rois, truths, image, i);
  if (s.foreground_limit >= 0) limit_foreground(s, mine, &matches);
  for (int i = 0; i < count; ++i) keys[i] = candidate_key(matches[i].label, mine ? mine[i] : 0, i);
  std::sort(keys.begin(), keys.end());
  for (int row = 0; row < s.kept; ++row) write_row(s, truths, image, row, matches[index_of(keys[row])], out);
}

}  // namespace

void rcnn_targets_cpu(const TargetShape& s, const float* rois, const float* truths, const float* chance, const TargetRows& out) {
  Caught caught;
#pragma omp parallel for if (s.images > 1)
  for (int image = 0; image < s.images; ++image) {
    caught.run([&] { targets_of_image(s, image, rois, truths, chance, out); });
  }
  caught.rethrow();
}

}  // namespace dff
