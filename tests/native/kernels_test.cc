// Random, degenerate and hostile inputs for every native kernel: the CPU kernels against plain loops, the CUDA kernels
// (emulated) against the CPU kernels.  Built with AddressSanitizer and UBSan by tests/native/test_native_kernels.py.
// usage: kernels_test ROUNDS; prints what it ran; exit status 1 at the first difference.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>

#include "cpu_only_test.h"
#include "emulate_cuda.h"
#include "random_inputs.h"
// The kernels need the emulation before them.
#include "box_nms/cpu.h"
#include "hard_examples/cpu.h"
#include "hard_examples/gpu.h"
#include "hard_examples/kernels.cu"
#include "map_kernels.h"
#include "proposal/cpu.h"
#include "proposal/gpu.h"
#include "proposal/kernels.cu"
#include "rcnn_targets/cpu.h"
#include "rcnn_targets/gpu.h"
#include "rcnn_targets/kernels.cu"

namespace dff {

void GpuQueue::run(const char* name, Grid grid, unsigned int threads, void** arguments) {
  emulation::launch(name, {grid.x, grid.y, grid.z}, threads, arguments);
}
void GpuQueue::zero(void* memory, size_t bytes) { memset(memory, 0, bytes); }

}  // namespace dff

namespace {

using namespace dff;

void test_proposal() {
  ProposalShape s = {};
  s.images = pick(0, 2) ? 1 : 10;
  s.height = pick(1, 14);
  s.width = pick(1, 20);
  s.stride = 16;
  s.before_nms = pick(-1, 600);
  s.after_nms = pick(1, 100);
  s.threshold = uniform(0, 1);
  s.min_size = pick(0, 1) * 16;
  make_anchors({0.5f, 1, 2}, pick(0, 1) ? std::vector<float>{8, 16, 32} : std::vector<float>{2.5f}, &s);
  const size_t plane = s.height * s.width;
  const int hostile = pick(0, 2) * 20;
  Floats scores = numbers(s.images * 2 * s.anchors * plane, 0, 1, hostile);
  if (pick(0, 1)) {
    for (float& score : scores) score = roundf(score * 4) / 4;  // many ties
  }
  const Floats deltas = numbers(s.images * 4 * s.anchors * plane, -1, 1, hostile);
  Floats im_info = numbers(s.images * 3, 50, 300, hostile);
  for (int n = 0; n < s.images; ++n) im_info[n * 3 + 2] = pick(0, 9) ? 1.5f : kNaN;
  Floats rois(static_cast<size_t>(s.images) * s.after_nms * 5, 7), gpu_rois(rois.size(), 7);
  std::vector<char> workspace(proposal_workspace(s));
  proposal_cpu(s, scores.data(), deltas.data(), im_info.data(), rois.data());
  proposal_gpu(GpuQueue(nullptr), s, scores.data(), deltas.data(), im_info.data(), workspace.data(), gpu_rois.data());
  expect_equal("proposal, GPU", rois, gpu_rois, 0);
  for (const float value : rois) {
    if (!(value - value == 0)) {
      printf("proposal: a box is not finite\n");
      exit(1);
    }
  }
}

void test_targets() {
  TargetShape s = {pick(1, 3), pick(0, 40), pick(1, 6), 0, -1, pick(2, 6), pick(0, 1), 0.5f, 0.5f, pick(0, 1) * 0.1f, {0}, {1, 1, 1, 1}, {1, 1, 1, 1}};
  const bool sampled = pick(0, 1) == 1;
  s.kept = sampled ? pick(1, s.candidates()) : s.candidates();
  if (sampled) s.foreground_limit = pick(0, s.kept);
  const int hostile = pick(0, 1) * 20;
  const Floats rois = numbers(static_cast<size_t>(s.images) * s.proposals * 5, 0, 60, hostile);
  Floats truths = numbers(static_cast<size_t>(s.images) * s.boxes * 5, 0, 60, hostile);
  for (size_t i = 4; i < truths.size(); i += 5) {
    if (pick(0, 9)) truths[i] = pick(-1, 6);  // -1: padding; 6: more classes than there are sets
  }
  const Floats chance = numbers(static_cast<size_t>(s.images) * s.candidates(), 0, 1);
  const size_t rows = static_cast<size_t>(s.images) * s.kept, columns = 4 * s.sets;
  std::vector<Floats> cpu(4), gpu(4);
  for (auto* out : {&cpu, &gpu}) *out = {Floats(rows * 5, 7), Floats(rows, 7), Floats(rows * columns, 7), Floats(rows * columns, 7)};
  std::vector<char> workspace(rcnn_targets_workspace(s));
  const float* drawn = sampled ? chance.data() : nullptr;
  rcnn_targets_cpu(s, rois.data(), truths.data(), drawn, {cpu[0].data(), cpu[1].data(), cpu[2].data(), cpu[3].data()});
  rcnn_targets_gpu(GpuQueue(nullptr), s, rois.data(), truths.data(), drawn, workspace.data(),
                   {gpu[0].data(), gpu[1].data(), gpu[2].data(), gpu[3].data()});
  const char* const names[] = {"target rois, GPU", "target labels, GPU", "box targets, GPU", "box weights, GPU"};
  for (int k = 0; k < 4; ++k) expect_equal(names[k], cpu[k], gpu[k], 1e-5f);
}

void test_mining() {
  MiningShape s = {pick(1, 3), pick(1, 50), pick(1, 8), 4 * pick(1, 3), pick(0, 60)};
  const size_t rows = static_cast<size_t>(s.images) * s.rois;
  const int hostile = pick(0, 1) * 30;
  const Floats score = numbers(rows * s.classes, -3, 3, hostile), deltas = numbers(rows * s.deltas, -2, 2, hostile);
  const Floats target = numbers(rows * s.deltas, -2, 2), weight = numbers(rows * s.deltas, 0, 1);
  Floats label = numbers(rows, -1, 1, hostile);
  for (float& l : label) l = pick(0, 20) ? pick(-1, s.classes - 1) : l;
  const MiningInputs in = {score.data(), deltas.data(), label.data(), target.data(), weight.data()};
  Floats out_label(rows, 7), out_weight(weight.size(), 7), gpu_label(rows, 7), gpu_weight(weight.size(), 7);
  std::vector<char> workspace(hard_examples_workspace(s));
  hard_examples_cpu(s, in, out_label.data(), out_weight.data());
  hard_examples_gpu(GpuQueue(nullptr), s, in, workspace.data(), gpu_label.data(), gpu_weight.data());
  expect_equal("hard labels, GPU", out_label, gpu_label, 0);
  expect_equal("hard weights, GPU", out_weight, gpu_weight, 0);
}

void test_detections() {
  const int count = pick(1, 60), classes = pick(1, 12), columns = pick(0, 1) ? 8 : 4 * classes, limit = pick(1, 200);
  const int hostile = pick(0, 1) * 20;
  const Floats rois = numbers(count * 4, 0, 300, hostile);
  Floats scores = numbers(static_cast<size_t>(count) * classes, 0, 1, hostile);
  for (float& score : scores) score = pick(0, 3) ? score : roundf(score * 4) / 4;  // some ties
  const Floats deltas = numbers(static_cast<size_t>(count) * columns, -1, 1, hostile);
  const Floats im_info = {200, 300, 1.5f};
  const size_t capacity = static_cast<size_t>(count) * (classes - 1);
  Floats found(6 * std::min(capacity, static_cast<size_t>(limit)), 7);
  const int rows = dff_frame_detections(count, classes, columns, rois.data(), scores.data(), deltas.data(), im_info.data(),
                                        0.1f, uniform(0, 1), limit, found.data());
  found.resize(static_cast<size_t>(rows) * 6);
  for (const float value : found) {
    if (value - value == 0) continue;
    printf("detections: a value is not finite\n");
    exit(1);
  }
}

}  // namespace

int main(int count, char** arguments) {
  const int rounds = count > 1 ? atoi(arguments[1]) : 50;
#define DFF_KERNEL(name) emulation::kernels[#name] = emulation::wrap(name)
  DFF_KERNEL(dff_warp_forward);
  DFF_KERNEL(dff_warp_backward);
  DFF_KERNEL(dff_correlation_forward);
  DFF_KERNEL(dff_correlation_backward);
  DFF_KERNEL(dff_aggregate_compare);
  DFF_KERNEL(dff_aggregate_weights);
  DFF_KERNEL(dff_aggregate_forward);
  DFF_KERNEL(dff_aggregate_feature_gradient);
  DFF_KERNEL(dff_aggregate_cosine_gradient);
  DFF_KERNEL(dff_aggregate_embedding_gradient);
  DFF_KERNEL(dff_psroi_forward);
  DFF_KERNEL(dff_psroi_backward);
  DFF_KERNEL(dff_pooled_scores);
  DFF_KERNEL(dff_decode_anchors);
  DFF_KERNEL(dff_sort_chunks);
  DFF_KERNEL(dff_sort_step);
  DFF_KERNEL(dff_overlap_masks);
  DFF_KERNEL(dff_select_boxes);
  DFF_KERNEL(dff_match_candidates);
  DFF_KERNEL(dff_limit_foreground);
  DFF_KERNEL(dff_write_targets);
  DFF_KERNEL(dff_class_map);
  DFF_KERNEL(dff_image_pair);
  DFF_KERNEL(dff_rank_losses);
  DFF_KERNEL(dff_keep_hard);
  for (int round = 0; round < rounds; ++round) {
    test_warp();
    test_correlation();
    test_aggregation();
    test_psroi();
    test_pooled_scores();
    test_proposal();
    test_targets();
    test_mining();
    test_class_map();
    test_image_pair();
    test_detections();
    test_cpu_only();
  }
  printf("%d rounds of every kernel, on the CPU and as emulated CUDA: no difference\n", rounds);
  return 0;
}
