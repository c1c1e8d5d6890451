// The kernels that have no CUDA kernel beside them, against plain loops: a part of kernels_test.cc.
#include "cpu_only_test.h"

#include <algorithm>

#include "deconvolution/cpu.h"
#include "int8/cpu.h"
#include "int8/features.h"
#include "int8/product.h"
#include "random_inputs.h"
#include "seq_nms/cpu.h"
#include "sgd_momentum/cpu.h"
#include "winograd/cpu.h"

using namespace dff;

// The convolution as it is defined, and the weight as DFFWinograd takes it.
static float convolved(const WinogradShape& s, int kernel, const float* data, const float* weight, int y, int x) {
  const int pad = s.dilation * (kernel / 2);
  double sum = 0;
  for (int c = 0; c < s.in_channels; ++c) {
    for (int i = 0; i < kernel * kernel; ++i) {
      const int row = y * s.stride + i / kernel * s.dilation - pad, column = x * s.stride + i % kernel * s.dilation - pad;
      if (row < 0 || row >= s.in_height || column < 0 || column >= s.in_width) continue;
      sum += data[(c * s.in_height + row) * s.in_width + column] * weight[c * kernel * kernel + i];
    }
  }
  return static_cast<float>(sum);
}

static Floats winograd_weight(const WinogradShape& s, int kernel, const Floats& weight) {
  const double g[6][3] = {{.25, 0, 0}, {-1 / 6., -1 / 6., -1 / 6.}, {-1 / 6., 1 / 6., -1 / 6.},
                          {1 / 24., 1 / 12., 1 / 6.}, {1 / 24., -1 / 12., 1 / 6.}, {0, 0, 1}};
  Floats out(static_cast<size_t>(kPositions) * s.panels() * s.depth() * kPanel, 0);
  for (int i = 0; i < s.out_channels * s.in_channels * kernel * kernel; ++i) {
    const int tap = i % (kernel * kernel), c = i / (kernel * kernel) % s.in_channels, o = i / (kernel * kernel) / s.in_channels;
    const int row = tap / kernel, column = tap % kernel;
    const int depth = (row % s.stride * s.stride + column % s.stride) * s.phase_channels() + c;
    for (int p = 0; p < kPositions; ++p) {
      out[((static_cast<size_t>(p) * s.panels() + o / kPanel) * s.depth() + depth) * kPanel + o % kPanel] +=
          static_cast<float>(weight[i] * g[p / 6][row / s.stride] * g[p % 6][column / s.stride]);
    }
  }
  return out;
}

static void test_winograd() {
  const int stride = pick(1, 2), kernel = stride == 2 ? 5 : 3, up = stride == 2 ? 1 : pick(1, 2);
  const int dilation = stride * up == 2 ? 1 : pick(1, 4);
  const WinogradShape s = {pick(1, 2), pick(1, 40), pick(1, 40 / (up * up)) * up * up, pick(1, 14), pick(1, 14), dilation, stride, up};
  const size_t in_size = static_cast<size_t>(s.in_channels) * s.in_height * s.in_width;
  const size_t plane = static_cast<size_t>(s.height()) * s.width(), filter = static_cast<size_t>(s.in_channels) * kernel * kernel;
  const float slope = pick(0, 2) * 0.5f;
  const Floats data = numbers(s.images * in_size, -1, 1), weight = numbers(s.out_channels * filter, -1, 1);
  const Floats bias = numbers(s.filters(), -1, 1), transformed = winograd_weight(s, kernel, weight);
  Floats expected(s.images * s.out_channels * plane), out(expected.size(), 7);
  for (size_t i = 0; i < expected.size(); ++i) {
    const int x = i % s.width(), y = i / s.width() % s.height(), o = i / plane % s.out_channels, n = i / plane / s.out_channels;
    const float value = convolved(s, kernel, data.data() + n * in_size, weight.data() + o * filter, y, x) + bias[o / (up * up)];
    // Of the channels of one filter each makes every second row and column, from `corner` on.
    const int own = o % (up * up), corner = own / up * up * s.width() + own % up;
    expected[(i / plane - own) * plane + corner + y * up * up * s.width() + x * up] = value > 0 ? value : slope * value;
  }
  winograd_cpu(s, data.data(), transformed.data(), bias.data(), slope, out.data());
  expect_equal("winograd", expected, out, 1e-4f);
  const Floats spoilt = numbers(data.size(), -1, 1, 20);
  winograd_cpu(s, spoilt.data(), transformed.data(), bias.data(), slope, out.data());
}

// Every input times a filter's 16 taps, laid over the output.
static void test_deconvolution() {
  const DeconvolutionShape s = {pick(1, 2), pick(1, 40), pick(1, 11), pick(1, 14), pick(1, 14)};
  const int plane = s.height * s.width;
  const float slope = pick(0, 2) * 0.5f;
  const Floats data = numbers(s.images * s.in_channels * plane, -1, 1), weight = numbers(s.filters * s.in_channels * kTaps, -1, 1);
  const Floats bias = numbers(s.filters, -1, 1);
  Floats expected(s.images * s.filters * 4 * plane), out(expected.size(), 7);
  for (size_t i = 0; i < expected.size(); ++i) expected[i] = bias[i / (4 * plane) % s.filters];
  for (size_t i = 0; i < data.size() * s.filters * kTaps; ++i) {
    const int tap = i % kTaps, o = i / kTaps % s.filters, from = i / kTaps / s.filters, image = from / plane / s.in_channels;
    const int y = 2 * (from / s.width % s.height) - 1 + tap / 4, x = 2 * (from % s.width) - 1 + tap % 4;
    if (y < 0 || y >= 2 * s.height || x < 0 || x >= 2 * s.width) continue;
    expected[(image * s.filters + o) * 4 * plane + y * 2 * s.width + x] +=
        data[from] * weight[(o * s.in_channels + from / plane % s.in_channels) * kTaps + tap];
  }
  for (float& value : expected) value = value > 0 ? value : slope * value;
  deconvolution_cpu(s, data.data(), weight.data(), bias.data(), slope, out.data());
  expect_equal("deconvolution", expected, out, 1e-4f);
  const Floats spoilt = numbers(data.size(), -1, 1, 20);
  deconvolution_cpu(s, spoilt.data(), weight.data(), bias.data(), slope, out.data());
}

static void test_sgd_momentum() {
  const float momentum = uniform(0, 1), rescale = uniform(0, 2), clip = pick(0, 1) ? 0.5f : kInf;
  const size_t sizes[] = {size_t(pick(0, 70)), size_t(pick(1, 3))};
  const float rates[] = {uniform(0, 1), uniform(0, 1)}, decays[] = {uniform(0, 0.1f), 0};
  Floats gradients[2], weights[2], states[2], expected_weights[2], expected_states[2];
  const float* from[2];
  float *weight[2], *state[2];
  for (int k = 0; k < 2; ++k) {
    gradients[k] = numbers(sizes[k], -1, 1, 20);
    weights[k] = expected_weights[k] = numbers(sizes[k], -1, 1, 20);
    states[k] = expected_states[k] = numbers(sizes[k], -1, 1, 20);
    from[k] = gradients[k].data(), weight[k] = weights[k].data(), state[k] = states[k].data();
    for (size_t i = 0; i < sizes[k]; ++i) {
      float g = rescale * gradients[k][i], &s = expected_states[k][i], &w = expected_weights[k][i];
      if (fabsf(g) > clip) g = copysignf(clip, g);
      s = momentum * s - rates[k] * decays[k] * w - rates[k] * g;
      w += s;
    }
  }
  dff_sgd_momentum(2, sizes, from, rates, decays, momentum, rescale, clip, weight, state);
  for (int k = 0; k < 2; ++k) {
    expect_equal("momentum", expected_states[k], states[k], 1e-5f);
    expect_equal("weight after a step", expected_weights[k], weights[k], 1e-5f);
  }
}

// What it computes is compared with NumPy elsewhere; here every box must be accounted for, whatever the boxes are.
static void test_seq_nms() {
  const int frames = pick(0, 6);
  std::vector<int> offsets(1, 0);
  for (int t = 0; t < frames; ++t) offsets.push_back(offsets.back() + pick(0, 40));
  const int count = offsets.back();
  const Floats boxes = pick(0, 2) ? numbers(count * 4, 0, 60) : numbers(count * 4, -1, 1, 20);
  const Floats drawn = numbers(count, 0, 1);
  const std::vector<double> scores(drawn.begin(), drawn.end());
  std::vector<double> rescored(count, 7);
  std::vector<unsigned char> stays(count, 7);
  std::vector<int> kept(count, -1);
  const int paths = dff_seq_nms(frames, offsets.data(), boxes.data(), scores.data(), 0.5, 0.3, 0.01, pick(0, 1), rescored.data(),
                                stays.data());
  const int found = dff_nms_of_frames(frames, offsets.data(), boxes.data(), scores.data(), 0.3f, kept.data());
  bool good = paths >= 0 && paths <= count && found >= 0 && found <= count;
  for (int i = 0; i < count; ++i) good = good && stays[i] <= 1 && rescored[i] >= 0 && rescored[i] <= 1;
  for (int k = 0; k < found; ++k) good = good && kept[k] >= 0 && kept[k] < count;
  expect_equal("seq_nms", Floats(1, 1), Floats(1, good ? 1.0f : 0.0f), 0);
}

// A tile on this processor's instructions and without them: sums of whole numbers, so exactly the same.
static void test_int8_product() {
  const int rows = pick(1, kInt8Rows), run = 4 * pick(1, 9);
  const std::vector<size_t> taps = {0, size_t(pick(0, 50)), size_t(pick(0, 50))};
  const size_t step = pick(0, 40);
  std::vector<uint8_t> in((rows - 1) * step + *std::max_element(taps.begin(), taps.end()) + run);
  std::vector<int8_t> weight(taps.size() * run * kInt8Panel);
  for (uint8_t& value : in) value = static_cast<uint8_t>(pick(0, 255));
  const int filters = pick(1, kInt8Panel);
  for (size_t i = 0; i < weight.size(); ++i) {
    if (static_cast<int>(i / kInt8Group % kInt8Panel) < filters) weight[i] = static_cast<int8_t>(pick(-128, 127));
  }
  const Int8Tile tile = {in.data(), step, taps.data(), 3, run, weight.data(), filters};
  std::vector<int32_t> plain(rows * kInt8Panel, 7), out(plain.size(), 8);
  int8_product_plain(tile, rows, plain.data());
  int8_product(tile, rows, out.data());
  Floats expected(plain.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    int64_t sum = 0;
    for (size_t k = 0; k < taps.size() * run; ++k) {
      sum += in[i / kInt8Panel * step + taps[k / run] + k % run] * weight[(k / 4 * kInt8Panel + i % kInt8Panel) * 4 + k % 4];
    }
    expected[i] = static_cast<float>(sum);
  }
  expect_equal("int8 product", expected, Floats(plain.begin(), plain.end()), 0);
  expect_equal("int8 product, this processor's", expected, Floats(out.begin(), out.end()), 0);

  const Floats scale = numbers(kInt8Panel, -0.01f, 0.01f, 20), shift = numbers(kInt8Panel, -99, 99, 20);
  const Int8Tail tail = {scale.data(), shift.data(), pick(0, 2) * 0.5f, uniform(-1, 1), 9, static_cast<float>(pick(0, 255))};
  std::vector<uint8_t> other(kInt8Panel, static_cast<uint8_t>(pick(0, 255))), bytes(kInt8Panel), plain_bytes(kInt8Panel);
  Floats values(kInt8Panel), plain_values(kInt8Panel);
  const uint8_t* added = pick(0, 1) ? other.data() : nullptr;
  int8_tail_plain(tail, plain.data(), added, nullptr, plain_values.data());
  int8_tail(tail, out.data(), added, nullptr, values.data());
  int8_tail_plain(tail, plain.data(), added, plain_bytes.data(), nullptr);
  int8_tail(tail, out.data(), added, bytes.data(), nullptr);
  expect_equal("int8 values", plain_values, values, 0);
  expect_equal("int8 bytes", Floats(plain_bytes.begin(), plain_bytes.end()), Floats(bytes.begin(), bytes.end()), 0);
}

// What they compute is compared with NumPy elsewhere; here numbers of any kind must stay within the maps.
static void test_int8_maps() {
  const Int8Map m = {pick(1, 2), pick(1, 9), pick(1, 30), 4 * pick(1, 5)};
  const int filters = pick(1, 40), pitch = (filters + 3) / 4 * 4, panels = (filters + 31) / 32, count = m.channels - pick(0, 3);
  const size_t cells = static_cast<size_t>(m.images) * m.height * m.width;
  std::vector<uint8_t> in(cells * m.channels), out(cells * 4 * pitch);
  const Floats data = numbers(in.size(), -3, 300, 20), scale = numbers(filters, -1, 1, 20), shift = numbers(4 * filters, -9, 9, 20);
  int8_quantise_cpu(m, data.data(), m.channels, 0, count, 2.0f, 5, in.data());
  Floats back(cells * count);
  int8_dequantise_cpu(m, in.data(), 0, count, 2.0f, 5, back.data());
  const std::vector<int8_t> weight(16 * panels * 32 * m.channels, 3);
  Int8Result to = {filters, scale.data(), shift.data(), 0.1f, nullptr, 0, 0, 7, out.data(), nullptr, m.height, m.width};
  int8_convolution_cpu(m, {3, 3, 1, 1, 1, 1}, in.data(), 5, weight.data(), to);
  int8_convolution_cpu(m, {1, 1, 1, 0, 0, 1}, in.data(), 5, weight.data(), to);
  to.height = 2 * m.height - pick(0, 1), to.width = 2 * m.width - pick(0, 1);
  int8_deconvolution_cpu(m, in.data(), 5, weight.data(), to);
  int8_pooling_cpu(m, {2, 2, 2, 0, 0, 1}, pick(0, 1), in.data(), (m.height + 1) / 2, (m.width + 1) / 2, out.data());
}

static void test_int8_features() {
  const int channels = 4 * pick(1, 9), outputs = pick(1, 40), side = pick(1, 4);
  const Int8Map m = {pick(1, 2), pick(1, 9), pick(1, 20), channels};
  const size_t cells = static_cast<size_t>(m.images) * m.height * m.width;
  std::vector<uint8_t> in(cells * channels), out(in.size());
  for (uint8_t& value : in) value = static_cast<uint8_t>(pick(0, 255));
  const Int8Part part = {pick(0, m.images - 1), pick(1, 2), 4 * pick(0, channels / 4 - 1), 4};
  int8_slice_cpu(m, part, in.data(), out.data());
  int8_activation_cpu(in.size(), in.data(), 3, 0.1f, uniform(0, 3), 9, out.data());
  const WarpShape warp = {pick(0, 1) ? 1 : m.images, m.images, channels, m.height, m.width};
  const Floats feature = numbers(in.size(), -3, 300, 20), flow = numbers(2 * cells, -20, 20, 20);
  int8_warp_cpu(warp, feature.data(), flow.data(), in.data(), {7, 100, 0.5f}, out.data());
  const CorrelationShape matching = {m.images, channels, m.height, m.width, pick(0, 3)};
  std::vector<uint8_t> matches(cells * ((matching.planes() + 3) / 4 * 4));
  int8_correlation_cpu(matching, {pick(0, 255), 9, 0.01f, 0.1f}, in.data(), in.data(), matches.data());
  const int rois = pick(0, 30), first = pick(0, channels - 1), blocks = (channels - first + kInt8Block - 1) / kInt8Block;
  const PooledScoresShape scores = {m.images, channels, m.height, m.width, rois, first, channels - first, outputs, side, 0.0625f};
  const Floats regions = numbers(5 * rois, -60, 500, 20), values = numbers(outputs * side * side, -1, 1, 20);
  const std::vector<int8_t> weight(static_cast<size_t>(blocks) * side * side * kInt8Block * ((outputs + 31) / 32 * 32), 3);
  Floats found(static_cast<size_t>(rois) * outputs);
  int8_scores_cpu(scores, in.data(), 5, regions.data(), weight.data(), values.data(), values.data(), values.data(), found.data());
}

void test_cpu_only() {
  test_winograd();
  test_deconvolution();
  test_int8_product();
  test_int8_maps();
  test_int8_features();
  test_sgd_momentum();
  test_seq_nms();
}
