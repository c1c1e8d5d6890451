#include "gpu.h"

namespace dff {
namespace {

size_t boxes_of(const FrameShape& s) { return static_cast<size_t>(s.images) * s.rois * box_sets(s.classes, s.delta_columns); }
size_t places_of(const FrameShape& s) { return static_cast<size_t>(s.images) * (s.classes - 1) * s.rois; }

}  // namespace

size_t detections_workspace(const FrameShape& s) { return boxes_of(s) * sizeof(Box) + places_of(s) * 3 * sizeof(int); }

void detections_gpu(GpuQueue queue, const FrameShape& s, const float* rois, const float* scores, const float* deltas,
                    const float* im_info, void* workspace, float* detections) {
  Box* boxes = static_cast<Box*>(workspace);
  int* order = reinterpret_cast<int*>(boxes + boxes_of(s));
  int *suppressed = order + places_of(s), *chosen = suppressed + places_of(s);
  queue.zero(order, places_of(s) * 3 * sizeof(int));

  const unsigned int threads = 128, images = s.images, classes = s.classes - 1;
  const Grid regions = {blocks_for(s.rois, threads), images, 1}, places = {blocks_for(s.rois, threads), classes, images};
  queue.launch("dff_clear_detections", Grid{blocks_for(static_cast<size_t>(s.images) * s.limit, threads), 1, 1}, threads, s, detections);
  queue.launch("dff_decode_detections", regions, threads, s, rois, deltas, im_info, boxes);
  queue.launch("dff_rank_scores", places, threads, s, scores, static_cast<const Box*>(boxes), order);
  queue.launch("dff_suppress", Grid{classes, images, 1}, threads, s, static_cast<const Box*>(boxes),
               static_cast<const int*>(order), suppressed);
  queue.launch("dff_choose_detections", places, threads, s, scores, static_cast<const int*>(order),
               static_cast<const int*>(suppressed), chosen);
  queue.launch("dff_write_detections", places, threads, s, scores, static_cast<const Box*>(boxes), static_cast<const int*>(order),
               static_cast<const int*>(chosen), detections);
}

}  // namespace dff
