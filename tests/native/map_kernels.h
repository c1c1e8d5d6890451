// Random inputs for the native kernels of feature maps and images. Included by kernels_test.cc, behind the emulation of CUDA.
#pragma once
#include <math.h>

#include "random_inputs.h"
#include "aggregation/cpu.h"
#include "aggregation/gpu.h"
#include "aggregation/kernels.cu"
#include "class_map/cpu.h"
#include "class_map/gpu.h"
#include "class_map/kernels.cu"
#include "correlation/cpu.h"
#include "correlation/gpu.h"
#include "correlation/kernels.cu"
#include "flow_warp/cpu.h"
#include "flow_warp/gpu.h"
#include "flow_warp/kernels.cu"
#include "image_pair/cpu.h"
#include "image_pair/gpu.h"
#include "image_pair/kernels.cu"
#include "pooled_scores/cpu.h"
#include "pooled_scores/gpu.h"
#include "pooled_scores/kernels.cu"
#include "psroi_pooling/cpu.h"
#include "psroi_pooling/gpu.h"
#include "psroi_pooling/kernels.cu"

namespace {

using namespace dff;

// The warp as it is defined, for finite flow.
float warped(const WarpShape& s, const float* map, int x, int y, float flow_x, float flow_y) {
  const double at_x = x + flow_x, at_y = y + flow_y;
  double sum = 0;
  for (int v = 0; v < s.height; ++v) {
    for (int u = 0; u < s.width; ++u) {
      sum += map[v * s.width + u] * fmax(0, 1 - fabs(u - at_x)) * fmax(0, 1 - fabs(v - at_y));
    }
  }
  return static_cast<float>(sum);
}

void test_warp() {
  WarpShape s = {1, pick(0, 1) ? 1 : pick(2, 10), pick(1, 20), pick(1, 12), pick(1, 40)};
  if (pick(0, 1)) s.feature_images = s.images;
  const size_t plane = s.height * s.width, all = plane * s.channels * s.images;
  const int hostile = pick(0, 1) * 10;
  const Floats feature = numbers(plane * s.channels * s.feature_images, -1, 1), scale = numbers(all, -1, 1);
  const Floats grad = numbers(all, -1, 1);
  Floats flow = numbers(plane * 2 * s.images, -9, 9, hostile);
  const bool scaled = pick(0, 1) == 1;
  const float* scale_data = scaled ? scale.data() : nullptr;

  Floats out(all), gpu_out(all), gf(feature.size()), gw(flow.size()), gs(scaled ? all : 0);
  Floats gpu_gf(gf.size(), 7), gpu_gw(gw.size(), 7), gpu_gs(gs.size(), 7);
  warp_forward_cpu(s, feature.data(), flow.data(), scale_data, out.data());
  warp_forward_gpu(GpuQueue(nullptr), s, feature.data(), flow.data(), scale_data, gpu_out.data());
  expect_equal("warp forward, GPU", out, gpu_out, 1e-5f);
  if (!hostile) {
    Floats expected(all);
    for (size_t i = 0; i < all; ++i) {
      const int n = i / plane / s.channels, c = i / plane % s.channels, pixel = i % plane;
      const float* map = feature.data() + ((s.feature_images > 1 ? n : 0) * s.channels + c) * plane;
      const float* at = flow.data() + n * 2 * plane + pixel;
      expected[i] = warped(s, map, pixel % s.width, pixel / s.width, at[0], at[plane]) * (scaled ? scale[i] : 1);
    }
    expect_equal("warp forward", expected, out, 1e-5f);
  }
  warp_backward_cpu(s, grad.data(), feature.data(), flow.data(), scale_data, gf.data(), gw.data(), gs.data());
  warp_backward_gpu(GpuQueue(nullptr), s, grad.data(), feature.data(), flow.data(), scale_data, gpu_gf.data(), gpu_gw.data(),
                    gpu_gs.data());
  expect_equal("warp feature gradient, GPU", gf, gpu_gf, 1e-4f);
  expect_equal("warp flow gradient, GPU", gw, gpu_gw, 1e-4f);
  expect_equal("warp scale gradient, GPU", gs, gpu_gs, 1e-4f);
}

void test_correlation() {
  const CorrelationShape s = {pick(1, 3), pick(1, 20), pick(1, 12), pick(1, 40), pick(0, 5)};
  const size_t size = static_cast<size_t>(s.images) * s.channels * s.height * s.width, all = size / s.channels * s.planes();
  const Floats current = numbers(size, -1, 1), reference = numbers(size, -1, 1), grad = numbers(all, -1, 1);
  Floats out(all, 7), gpu_out(all, 7), gc(size, 7), gr(size, 7), gpu_gc(size, 7), gpu_gr(size, 7);
  correlation_forward_cpu(s, current.data(), reference.data(), out.data());
  correlation_forward_gpu(GpuQueue(nullptr), s, current.data(), reference.data(), gpu_out.data());
  expect_equal("correlation, GPU", out, gpu_out, 1e-5f);
  correlation_backward_cpu(s, grad.data(), current.data(), reference.data(), gc.data(), gr.data());
  correlation_backward_gpu(GpuQueue(nullptr), s, grad.data(), current.data(), reference.data(), gpu_gc.data(), gpu_gr.data());
  expect_equal("correlation, gradient of the current map, GPU", gc, gpu_gc, 1e-4f);
  expect_equal("correlation, gradient of the reference, GPU", gr, gpu_gr, 1e-4f);
}

void test_aggregation() {
  const AggregateShape s = {pick(1, 5), pick(1, 3), pick(1, 20), pick(1, 20), pick(1, 9), pick(1, 20)};
  const size_t plane = s.height * s.width, maps = plane * s.maps(), images = plane * s.images;
  const bool flows = pick(0, 1) == 1;
  const Floats feature = numbers(maps * s.channels, -1, 1), embedding = numbers(maps * s.embedding, -1, 1);
  const Floats query = numbers(images * s.embedding, -1, 1), grad = numbers(images * s.channels, -1, 1);
  const Floats flow = numbers(maps * 2, -5, 5);
  const AggregateInputs in = {feature.data(), embedding.data(), query.data(), flows ? flow.data() : nullptr};
  Floats out(grad.size(), 7), gpu_out(grad.size(), 7), workspace(aggregate_workspace(s) / sizeof(float));
  aggregate_forward_cpu(s, in, out.data());
  aggregate_forward_gpu(GpuQueue(nullptr), s, in, workspace.data(), gpu_out.data());
  expect_equal("aggregation, GPU", out, gpu_out, 1e-5f);
  Floats found[2][4];
  for (int gpu = 0; gpu < 2; ++gpu) {
    Floats* to = found[gpu];
    to[0].assign(feature.size(), 7), to[1].assign(embedding.size(), 7), to[2].assign(query.size(), 7);
    to[3].assign(flows ? flow.size() : 0, 7);
    const AggregateGradients grads = {to[0].data(), to[1].data(), to[2].data(), flows ? to[3].data() : nullptr};
    if (gpu) {
      aggregate_backward_gpu(GpuQueue(nullptr), s, grad.data(), in, workspace.data(), grads);
    } else {
      aggregate_backward_cpu(s, grad.data(), in, grads);
    }
  }
  const char* const names[] = {"feature", "embedding", "query", "flow"};
  for (int k = 0; k < 4; ++k) {
    expect_equal((std::string("aggregation, gradient, GPU: ") + names[k]).c_str(), found[0][k], found[1][k], 1e-4f);
  }
}

void test_psroi() {
  PsroiShape s = {pick(0, 1) ? 1 : 10, pick(1, 12), pick(1, 20), pick(0, 30), pick(1, 17), pick(1, 7), pick(1, 7), 0.0625f};
  if (pick(0, 3) == 0) s.spatial_scale = uniform(0.01f, 1);
  Floats data = numbers(static_cast<size_t>(s.images) * s.channels() * s.height * s.width, -1, 1);
  Floats grad = numbers(static_cast<size_t>(s.rois) * s.output_dim * s.pooled * s.pooled, -1, 1);
  for (float* spoil : {data.data(), grad.data()}) {
    const float odd[] = {kNaN, kInf, -kInf};
    if (pick(0, 3) == 0 && !(spoil == grad.data() && grad.empty())) spoil[0] = odd[pick(0, 2)];
  }
  Floats rois = numbers(static_cast<size_t>(s.rois) * 5, -100, 400, pick(0, 1) * 10);
  for (int r = 0; r < s.rois; ++r) {
    if (pick(0, 9)) rois[r * 5] = pick(0, s.images - 1);
  }
  Floats out(grad.size(), 7), gpu_out(grad.size(), 7), gd(data.size(), 7), gpu_gd(data.size(), 7);
  psroi_forward_cpu(s, data.data(), rois.data(), out.data());
  psroi_forward_gpu(GpuQueue(nullptr), s, data.data(), rois.data(), gpu_out.data());
  expect_equal("psroi forward, GPU", out, gpu_out, 1e-5f);
  psroi_backward_cpu(s, grad.data(), rois.data(), gd.data());
  psroi_backward_gpu(GpuQueue(nullptr), s, grad.data(), rois.data(), gpu_gd.data());
  expect_equal("psroi gradient, GPU", gd, gpu_gd, 1e-4f);
}

// Scores of regions against convolutions of 1x1, written out, and the pooling of their maps.
void test_pooled_scores() {
  PooledScoresShape s = {pick(1, 3), 0, pick(1, 12), pick(1, 20), pick(0, 60), pick(0, 3), pick(1, 300), pick(1, 70), pick(1, 4), 0.0625f};
  if (pick(0, 2)) s.channels = pick(1, 20);
  s.all_channels = s.first + s.channels + pick(0, 2);
  const size_t plane = static_cast<size_t>(s.height) * s.width;
  const PsroiShape maps = {s.images, s.height, s.width, s.rois, s.outputs, s.pooled, s.pooled, s.spatial_scale};
  const Floats data = numbers(s.images * s.all_channels * plane, -1, 1);
  const Floats weight = numbers(static_cast<size_t>(s.channels) * maps.channels(), -1, 1), bias = numbers(maps.channels(), -1, 1);
  Floats rois = numbers(static_cast<size_t>(s.rois) * 5, -100, 400, pick(0, 1) * 10);
  for (int r = 0; r < s.rois; ++r) {
    if (pick(0, 9)) rois[r * 5] = pick(0, s.images - 1);
  }
  Floats convolved(s.images * maps.channels() * plane), pooled(static_cast<size_t>(s.rois) * s.outputs * s.bins());
  Floats packed(static_cast<size_t>(s.chunks()) * s.panels() * s.depth() * kScorePanel, 0), biases(bias.size());
  for (int m = 0; m < maps.channels(); ++m) {
    const int bin = m % s.bins(), o = m / s.bins();
    biases[bin * s.outputs + o] = bias[m];
    for (int c = 0; c < s.channels; ++c) packed[s.weight_at(bin, c, o)] = weight[m * s.channels + c];
    for (size_t i = 0; i < s.images * plane; ++i) {
      double sum = bias[m];
      for (int c = 0; c < s.channels; ++c) sum += weight[m * s.channels + c] * data[s.offset(i / plane) + c * plane + i % plane];
      convolved[(i / plane * maps.channels() + m) * plane + i % plane] = static_cast<float>(sum);
    }
  }
  psroi_forward_cpu(maps, convolved.data(), rois.data(), pooled.data());
  Floats expected(static_cast<size_t>(s.rois) * s.outputs, 0), out(expected.size(), 7), gpu_out(expected.size(), 7);
  for (size_t i = 0; i < pooled.size(); ++i) expected[i / s.bins()] += pooled[i];
  pooled_scores_cpu(s, data.data(), rois.data(), packed.data(), biases.data(), out.data());
  expect_equal("pooled scores", expected, out, 1e-4f);
  pooled_scores_gpu(GpuQueue(nullptr), s, data.data(), rois.data(), packed.data(), biases.data(), gpu_out.data());
  expect_equal("pooled scores, GPU", out, gpu_out, 1e-4f);
  const Floats spoilt = numbers(data.size(), -1, 1, 20);
  pooled_scores_cpu(s, spoilt.data(), rois.data(), packed.data(), biases.data(), out.data());
}

void test_class_map() {
  const ClassMapShape s = {pick(1, 20), pick(1, 9), pick(1, 9), pick(1, 40), pick(1, 600)};
  const int hostile = pick(0, 1) * 30;
  Floats score = numbers(static_cast<size_t>(s.classes) * s.height * s.width, -3, 3, hostile);
  for (float& value : score) value = pick(0, 3) ? value : roundf(value);  // some ties
  const Floats rows = numbers(s.rows, -3, s.height + 2.0f, hostile), columns = numbers(s.columns, -3, s.width + 2.0f, hostile);
  const size_t pixels = static_cast<size_t>(s.rows) * s.columns;
  std::vector<unsigned char> cpu(pixels, 255), gpu(pixels, 255);
  class_map_cpu(s, score.data(), rows.data(), columns.data(), cpu.data());
  class_map_gpu(GpuQueue(nullptr), s, score.data(), rows.data(), columns.data(), gpu.data());
  expect_equal("class map, GPU", Floats(cpu.begin(), cpu.end()), Floats(gpu.begin(), gpu.end()), 0);
  for (int check = 0; check < 50 && !hostile; ++check) {
    const size_t i = pick(0, static_cast<int>(pixels) - 1);
    const double y = fmin(fmax(rows[i / s.columns], 0), s.height - 1), x = fmin(fmax(columns[i % s.columns], 0), s.width - 1);
    double best = -1e30, chosen = 0;
    for (int c = 0; c < s.classes; ++c) {
      double sum = 0;
      for (int v = 0; v < s.height; ++v) {
        for (int u = 0; u < s.width; ++u) {
          sum += score[(static_cast<size_t>(c) * s.height + v) * s.width + u] * fmax(0, 1 - fabs(u - x)) * fmax(0, 1 - fabs(v - y));
        }
      }
      best = fmax(best, sum);
      if (c == cpu[i]) chosen = sum;
    }
    expect_equal("score of the class map", {static_cast<float>(best)}, {static_cast<float>(chosen)}, 1e-5f);
  }
}

void test_image_pair() {
  const int images = pick(1, 3);
  const ImagePairShape s = {images, pick(0, 1) ? images : 1, pick(1, 4), pick(1, 20), pick(1, 300), 0.5f};
  const int hostile = pick(0, 1) * 30;
  const size_t size = static_cast<size_t>(s.channels) * s.height * s.width, plane = static_cast<size_t>(s.rows()) * s.columns();
  const Floats current = numbers(s.images * size, -9, 9, hostile), reference = numbers(s.references * size, -9, 9, hostile);
  Floats cpu(s.images * 2 * s.channels * plane, 7), gpu(cpu.size(), 7);
  image_pair_cpu(s, current.data(), reference.data(), cpu.data());
  image_pair_gpu(GpuQueue(nullptr), s, current.data(), reference.data(), gpu.data());
  expect_equal("image pair, GPU", cpu, gpu, 0);
}

}  // namespace
