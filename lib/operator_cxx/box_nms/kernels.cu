// Detections of a frame: rank the scores of every class, suppress class by class, choose the best of the frame, write them.
// A place is (image, class, rank of the region in its class); `order` holds the region there plus 1, 0 where there is none.
#include "element.h"

namespace dff {

extern "C" __global__ void dff_clear_detections(FrameShape s, float* detections) {
  const size_t row = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (row >= static_cast<size_t>(s.images) * s.limit) return;
  for (int k = 0; k < 6; ++k) detections[row * 6 + k] = k == 0 ? -1.0f : 0.0f;
}

extern "C" __global__ void dff_decode_detections(FrameShape s, const float* __restrict__ rois, const float* __restrict__ deltas,
                                                 const float* __restrict__ im_info, Box* boxes) {
  const int r = blockIdx.x * blockDim.x + threadIdx.x, image = blockIdx.y, sets = box_sets(s.classes, s.delta_columns);
  if (r >= s.rois) return;
  const size_t row = static_cast<size_t>(image) * s.rois + r;
  for (int set = 0; set < sets; ++set) {
    boxes[row * sets + set] = decode_detection(rois + row * 5 + 1, deltas + row * s.delta_columns + 4 * (set + 1), im_info + image * 3);
  }
}

__device__ __forceinline__ float score_at(const FrameShape& s, const float* scores, int image, int label, int r) {
  return scores[(static_cast<size_t>(image) * s.rois + r) * s.classes + label];
}

__device__ __forceinline__ const Box& detection_box(const FrameShape& s, const Box* boxes, int image, int label, int r) {
  const int sets = box_sets(s.classes, s.delta_columns);
  return boxes[(static_cast<size_t>(image) * s.rois + r) * sets + (sets == 1 ? 0 : label - 1)];
}

__device__ __forceinline__ size_t first_place(const FrameShape& s, int image, int label) {
  return (static_cast<size_t>(image) * (s.classes - 1) + label - 1) * s.rois;
}

extern "C" __global__ void dff_rank_scores(FrameShape s, const float* __restrict__ scores, const Box* __restrict__ boxes, int* order) {
  const int r = blockIdx.x * blockDim.x + threadIdx.x, label = blockIdx.y + 1, image = blockIdx.z;
  if (r >= s.rois) return;
  const float score = score_at(s, scores, image, label, r);
  if (!is_detection(score, s.score_threshold, detection_box(s, boxes, image, label, r))) return;
  int rank = 0;
  for (int j = 0; j < s.rois; ++j) {
    const float other = score_at(s, scores, image, label, j);
    rank += rank_key(other, j) < rank_key(score, r) && is_detection(other, s.score_threshold, detection_box(s, boxes, image, label, j)) ? 1 : 0;
  }
  order[first_place(s, image, label) + rank] = r + 1;
}

// One block a class of an image.
extern "C" __global__ void dff_suppress(FrameShape s, const Box* __restrict__ boxes, const int* __restrict__ order, int* suppressed) {
  const int label = blockIdx.x + 1, image = blockIdx.y;
  const int* mine = order + first_place(s, image, label);
  volatile int* gone = suppressed + first_place(s, image, label);
  for (int i = 0; i < s.rois && mine[i]; ++i) {  // every thread takes the same way through this loop
    if (!gone[i]) {
      const Box box = detection_box(s, boxes, image, label, mine[i] - 1);
      for (int j = i + 1 + threadIdx.x; j < s.rois && mine[j]; j += blockDim.x) {
        const Box other = detection_box(s, boxes, image, label, mine[j] - 1);
        if (overlap_of(box, area_of(box), other, area_of(other)) > s.nms_threshold) gone[j] = 1;
      }
    }
    __syncthreads();
  }
}

// chosen[place] = 1 for the `limit` best of what is left of an image; of equal scores the earlier place.
extern "C" __global__ void dff_choose_detections(FrameShape s, const float* __restrict__ scores, const int* __restrict__ order,
                                                 const int* __restrict__ suppressed, int* chosen) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x, label = blockIdx.y + 1, image = blockIdx.z;
  if (i >= s.rois) return;
  const size_t start = first_place(s, image, 1), place = first_place(s, image, label) + i;
  if (!order[place] || suppressed[place]) return;
  const unsigned long long key = rank_key(score_at(s, scores, image, label, order[place] - 1), static_cast<unsigned int>(place - start));
  int before = 0;
  for (int c = 1; c < s.classes; ++c) {
    for (size_t p = first_place(s, image, c); p < first_place(s, image, c) + s.rois && order[p]; ++p) {
      const float score = score_at(s, scores, image, c, order[p] - 1);
      before += !suppressed[p] && rank_key(score, static_cast<unsigned int>(p - start)) < key ? 1 : 0;
    }
  }
  chosen[place] = before < s.limit ? 1 : 0;
}

extern "C" __global__ void dff_write_detections(FrameShape s, const float* __restrict__ scores, const Box* __restrict__ boxes,
                                                const int* __restrict__ order, const int* __restrict__ chosen, float* detections) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x, label = blockIdx.y + 1, image = blockIdx.z;
  if (i >= s.rois) return;
  const size_t place = first_place(s, image, label) + i;
  if (!chosen[place]) return;
  int row = 0;
  for (size_t p = first_place(s, image, 1); p < place; ++p) row += chosen[p];
  const int r = order[place] - 1;
  const Box box = detection_box(s, boxes, image, label, r);
  float* to = detections + (static_cast<size_t>(image) * s.limit + row) * 6;
  to[0] = static_cast<float>(label);
  to[1] = score_at(s, scores, image, label, r);
  to[2] = box.x1;
  to[3] = box.y1;
  to[4] = box.x2;
  to[5] = box.y2;
}

}  // namespace dff
