// Region proposals in four steps: decode every anchor, sort the keys, find which of the best overlap, keep greedily.
#include "element.h"

namespace dff {

// Keys beyond the boxes of an image are the largest, so that the sort leaves them at the end.
extern "C" __global__ void dff_decode_anchors(ProposalShape s, const float* __restrict__ cls_prob,
                                              const float* __restrict__ bbox_pred, const float* __restrict__ im_info,
                                              int padded, Candidate* candidates, Key* keys) {
  const int index = blockIdx.x * blockDim.x + threadIdx.x, image = blockIdx.y;
  if (index >= padded) return;
  Key* key = keys + static_cast<size_t>(image) * padded + index;
  if (index >= s.boxes()) {
    *key = ~static_cast<Key>(0);
    return;
  }
  const int a = index % s.anchors, x = index / s.anchors % s.width, y = index / s.anchors / s.width;
  const int plane = s.height * s.width, cell = y * s.width + x;
  const float score = cls_prob[(static_cast<size_t>(image) * 2 * s.anchors + s.anchors + a) * plane + cell];
  const float* deltas = bbox_pred + (static_cast<size_t>(image) * 4 * s.anchors + 4 * a) * plane + cell;
  const Candidate c = decode_anchor(s, a, x, y, score, deltas, plane, im_info + 3 * image);
  candidates[static_cast<size_t>(image) * s.boxes() + index] = c;
  *key = rank_key(c.score, index);
}

__device__ __forceinline__ void order(Key* a, Key* b, bool ascending) {
  if ((*a > *b) == ascending) {
    const Key other = *a;
    *a = *b;
    *b = other;
  }
}

// The steps within kSortChunk keys of the bitonic runs first_run, 2 * first_run, ... last_run. Block: kSortChunk / 2 threads.
extern "C" __global__ void dff_sort_chunks(Key* keys, int padded, int first_run, int last_run) {
  __shared__ Key chunk[kSortChunk];
  const int start = blockIdx.x * kSortChunk, t = threadIdx.x;
  Key* mine = keys + static_cast<size_t>(blockIdx.y) * padded + start;
  chunk[t] = mine[t];
  chunk[t + kSortChunk / 2] = mine[t + kSortChunk / 2];
  for (int run = first_run; run <= last_run; run *= 2) {
    for (int distance = min_int(run, kSortChunk) / 2; distance > 0; distance /= 2) {
      __syncthreads();
      const int low = 2 * t - t % distance;
      order(chunk + low, chunk + low + distance, ((start + low) & run) == 0);
    }
  }
  __syncthreads();
  mine[t] = chunk[t];
  mine[t + kSortChunk / 2] = chunk[t + kSortChunk / 2];
}

// One step of a bitonic run over keys that lie `distance` apart.
extern "C" __global__ void dff_sort_step(Key* keys, int padded, int run, int distance) {
  const int pair = blockIdx.x * blockDim.x + threadIdx.x;
  const int low = 2 * pair - pair % distance;
  Key* mine = keys + static_cast<size_t>(blockIdx.y) * padded;
  order(mine + low, mine + low + distance, (low & run) == 0);
}

__device__ __forceinline__ const Candidate& ranked(const ProposalShape& s, const Candidate* candidates, const Key* keys,
                                                   int padded, int image, int rank) {
  const Key key = keys[static_cast<size_t>(image) * padded + rank];
  return candidates[static_cast<size_t>(image) * s.boxes() + static_cast<int>(key & 0xffffffffu)];
}

// masks[image][i][w]: bit b is set if candidate 64 w + b comes after candidate i and overlaps it too much. Words that hold
// only earlier candidates are not written.  Block: 64 threads, one candidate i each, for one word w.
extern "C" __global__ void dff_overlap_masks(ProposalShape s, int padded, int words, const Candidate* __restrict__ candidates,
                                             const Key* __restrict__ keys, Key* masks) {
  __shared__ Box boxes[kWordBits];
  const int word = blockIdx.x, group = blockIdx.y, image = blockIdx.z, t = threadIdx.x;
  if (word < group) return;
  const int count = s.candidates(), here = min_int(kWordBits, count - word * kWordBits);
  if (t < here) boxes[t] = ranked(s, candidates, keys, padded, image, word * kWordBits + t).box;
  __syncthreads();
  const int i = group * kWordBits + t;
  if (i >= count) return;
  const Box box = ranked(s, candidates, keys, padded, image, i).box;
  const float area = area_of(box);
  Key mask = 0;
  for (int b = word == group ? t + 1 : 0; b < here; ++b) {
    if (overlap_of(box, area, boxes[b], area_of(boxes[b])) > s.threshold) mask |= static_cast<Key>(1) << b;
  }
  masks[(static_cast<size_t>(image) * count + i) * words + word] = mask;
}

// Walks through the candidates of one image, best first, and writes the image's rows of `rois`.  One block an image.
extern "C" __global__ void dff_select_boxes(ProposalShape s, int padded, int words, const Candidate* __restrict__ candidates,
                                            const Key* __restrict__ keys, const Key* __restrict__ masks, int* kept, float* rois) {
  __shared__ Key removed[kMaxWords];
  const int image = blockIdx.x, count = s.candidates();
  int* my_kept = kept + static_cast<size_t>(image) * s.kept();
  for (int w = threadIdx.x; w < words; w += blockDim.x) removed[w] = 0;
  int kept_count = 0;
  for (int i = 0; i < count && kept_count < s.kept(); ++i) {  // every thread takes the same way through this loop
    if (i % kWordBits == 0) __syncthreads();
    if (removed[i / kWordBits] >> (i % kWordBits) & 1) continue;
    const Candidate& c = ranked(s, candidates, keys, padded, image, i);
    if (!(c.score == c.score)) break;  // the rest has no order or no place
    if (threadIdx.x == 0) my_kept[kept_count] = i;
    ++kept_count;
    __syncthreads();
    const Key* mask = masks + (static_cast<size_t>(image) * count + i) * words;
    for (int w = i / kWordBits + threadIdx.x; w < words; w += blockDim.x) removed[w] |= mask[w];
    __syncthreads();
  }
  __syncthreads();
  for (int row = threadIdx.x; row < s.after_nms; row += blockDim.x) {
    Box box = {0.0f, 0.0f, 0.0f, 0.0f};
    if (kept_count) box = ranked(s, candidates, keys, padded, image, my_kept[row % kept_count]).box;
    float* roi = rois + (static_cast<size_t>(image) * s.after_nms + row) * 5;
    roi[0] = static_cast<float>(image);
    roi[1] = box.x1;
    roi[2] = box.y1;
    roi[3] = box.x2;
    roi[4] = box.y2;
  }
}

}  // namespace dff
