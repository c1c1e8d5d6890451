#include "gpu.h"

namespace dff {

size_t rcnn_targets_workspace(const TargetShape& s) { return (sizeof(Match) + sizeof(float)) * s.images * s.candidates(); }

void rcnn_targets_gpu(GpuQueue queue, const TargetShape& s, const float* rois, const float* truths, const float* chance,
                      void* workspace, const TargetRows& out) {
  const unsigned int threads = 64;
  const Grid grid = {blocks_for(s.candidates(), threads), static_cast<unsigned int>(s.images), 1};
  Match* matches = static_cast<Match*>(workspace);
  float* labels = reinterpret_cast<float*>(matches + static_cast<size_t>(s.images) * s.candidates());
  queue.launch("dff_match_candidates", grid, threads, s, rois, truths, matches);
  queue.launch("dff_limit_foreground", grid, threads, s, static_cast<const Match*>(matches), chance, labels);
  queue.launch("dff_write_targets", grid, threads, s, static_cast<const Match*>(matches), static_cast<const float*>(labels),
               truths, chance, out);
}

}  // namespace dff
