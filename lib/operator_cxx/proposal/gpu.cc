#include "gpu.h"

#include <stdexcept>
#include <string>

namespace dff {
namespace {

const int kMaxKeys = 1 << 28;  // of which MXNet would not give the memory

// Keys of one image, filled up to a power of two for the sort.
int padded_keys(const ProposalShape& s) {
  if (s.boxes() > kMaxKeys) throw std::runtime_error("DFFProposal: at most " + std::to_string(kMaxKeys) + " boxes on the GPU");
  int count = kSortChunk;
  while (count < s.boxes()) count *= 2;
  return count;
}

int words_of(const ProposalShape& s) { return (s.candidates() + kWordBits - 1) / kWordBits; }

// Sizes in bytes of the parts of the workspace, each rounded up so that the next is aligned.
struct Parts {
  size_t candidates, keys, masks, kept;
  explicit Parts(const ProposalShape& s)
      : candidates(round_up(sizeof(Candidate) * s.images * s.boxes())),
        keys(round_up(sizeof(Key) * s.images * padded_keys(s))),
        masks(round_up(sizeof(Key) * s.images * s.candidates() * words_of(s))),
        kept(round_up(sizeof(int) * s.images * s.kept())) {}
  static size_t round_up(size_t bytes) { return (bytes + 255) / 256 * 256; }
};

// Bitonic sort: runs of kSortChunk in the memory of one block, longer ones by steps over all keys.
void sort_keys(GpuQueue queue, Key* keys, int padded, int images) {
  const Grid chunks = {static_cast<unsigned int>(padded / kSortChunk), static_cast<unsigned int>(images), 1};
  queue.launch("dff_sort_chunks", chunks, kSortChunk / 2, keys, padded, 2, kSortChunk);
  for (int run = 2 * kSortChunk; run <= padded; run *= 2) {
    for (int distance = run / 2; distance >= kSortChunk; distance /= 2) {
      queue.launch("dff_sort_step", chunks, kSortChunk / 2, keys, padded, run, distance);
    }
    queue.launch("dff_sort_chunks", chunks, kSortChunk / 2, keys, padded, run, run);
  }
}

}  // namespace

size_t proposal_workspace(const ProposalShape& s) {
  const Parts parts(s);
  return parts.candidates + parts.keys + parts.masks + parts.kept;
}

void proposal_gpu(GpuQueue queue, const ProposalShape& s, const float* cls_prob, const float* bbox_pred, const float* im_info,
                  void* workspace, float* rois) {
  if (words_of(s) > kMaxWords) {
    throw std::runtime_error("DFFProposal: at most " + std::to_string(kMaxWords * kWordBits) +
                             " boxes before NMS on the GPU: lower rpn_pre_nms_top_n");
  }
  const Parts parts(s);
  char* memory = static_cast<char*>(workspace);
  Candidate* candidates = reinterpret_cast<Candidate*>(memory);
  Key* keys = reinterpret_cast<Key*>(memory += parts.candidates);
  Key* masks = reinterpret_cast<Key*>(memory += parts.keys);
  int* kept = reinterpret_cast<int*>(memory += parts.masks);
  const int padded = padded_keys(s), words = words_of(s);
  const unsigned int images = s.images, threads = 256, blocks = blocks_for(padded, threads), groups = words;

  queue.launch("dff_decode_anchors", Grid{blocks, images, 1}, threads, s, cls_prob, bbox_pred, im_info, padded, candidates, keys);
  sort_keys(queue, keys, padded, s.images);
  queue.launch("dff_overlap_masks", Grid{groups, groups, images}, kWordBits, s, padded, words,
               static_cast<const Candidate*>(candidates), static_cast<const Key*>(keys), masks);
  queue.launch("dff_select_boxes", Grid{images, 1, 1}, threads, s, padded, words, static_cast<const Candidate*>(candidates),
               static_cast<const Key*>(keys), static_cast<const Key*>(masks), kept, rois);
}

}  // namespace dff
