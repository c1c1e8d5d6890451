// The native operators as MXNet calls them, with attributes, shapes and numbers of inputs drawn at
// random: what their checks let through must run within its tensors.  Built with AddressSanitizer
// and UBSan by tests/test_native_registered.py.
// usage: registered_test ROUNDS; prints how many calls of each operator were let through.
#include <mxnet/lib_api.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>

#include "common/gpu.h"
#include "common/op.h"
#include "random_inputs.h"

namespace dff {
void GpuQueue::run(const char*, Grid, unsigned int, void**) {}  // nothing here runs on a GPU
void GpuQueue::zero(void*, size_t) {}
}  // namespace dff

namespace {

using namespace dff;
using mxnet::ext::CustomOp;

const uint64_t kMostElements = 1 << 22;  // of a call that is run

// A call that fits, from which the others are made.
struct Sample {
  AttributeMap attributes;
  Shapes shapes;
};

// The operators on maps of bytes.
void add_int8(unsigned n, unsigned h, unsigned w, unsigned filters, std::map<std::string, Sample>* all) {
  const auto text = [](unsigned value) { return std::to_string(value); };
  const unsigned c = 4 * pick(1, 4), kernel = pick(1, 3), stride = pick(1, 2), dilate = pick(1, 2), has_other = pick(0, 1);
  const unsigned pad = (kernel - 1) * dilate / 2, extent = (kernel - 1) * dilate + 1, panels = (filters + 31) / 32;
  const unsigned high = 2 * h + 4, wide = 2 * w + 4;
  const Shape result = {n, (high + 2 * pad - extent) / stride + 1, (wide + 2 * pad - extent) / stride + 1, (filters + 3) / 4 * 4};
  const AttributeMap layer = {{"num_filter", text(filters)}, {"slope", "0.1"}, {"in_zero", "3"}, {"zero", "90"}};
  const AttributeMap range = {{"begin", "0"}, {"count", text(c - 1)}, {"zero", "7"}, {"scale", "2"}};
  const AttributeMap window = {{"kernel_h", text(kernel)}, {"kernel_w", text(kernel)}, {"stride", text(stride)},
                               {"pad_h", text(pad)}, {"pad_w", text(pad)}};
  Sample convolution = {layer, {{n, high, wide, c}, {1, panels, kernel * kernel * c / 4, 32, 4}, {filters}, {filters}}};
  convolution.attributes.insert(window.begin(), window.end());
  convolution.attributes.insert({{"dilate", text(dilate)}, {"is_float", text(pick(0, 1))}, {"has_other", text(has_other)},
                                 {"other_scale", "0.5"}, {"other_zero", "9"}});
  if (has_other) convolution.shapes.push_back(result);
  Sample pooling = {window, {{n, high, wide, c}}};
  pooling.attributes["pad_h"] = pooling.attributes["pad_w"] = "0";
  pooling.attributes.insert({{"mean", text(pick(0, 1))}, {"is_full", text(pick(0, 1))}});
  (*all)["DFFInt8Convolution"] = convolution;
  (*all)["DFFInt8Deconvolution"] = {layer, {{n, h, w, c}, {4, panels, c, 32, 4}, {filters}, {4, filters}, {n, 2 * h, 2 * w - 1, 4}}};
  (*all)["DFFInt8Quantise"] = {range, {{n, c, h, w}}};
  (*all)["DFFInt8Dequantise"] = {range, {{n, h, w, c}}};
  (*all)["DFFInt8Pooling"] = pooling;
  (*all)["DFFInt8Concat"] = {{{"num_args", text(n)}}, Shapes(n, {1, h, w, c})};
}

// The other operators on bytes.
void add_features(unsigned n, unsigned h, unsigned w, unsigned r, unsigned filters, std::map<std::string, Sample>* all) {
  const auto text = [](unsigned value) { return std::to_string(value); };
  const unsigned c = 4 * pick(1, 5), d = pick(0, 3), side = pick(1, 3), first = pick(0, c - 1), count = 4 * pick(1, c / 4);
  const unsigned depth = side * side * ((c - first + 15) / 16 * 16);
  const Shape map = {n, h, w, c};
  (*all)["DFFInt8Slice"] = {{{"first", text(n - 1)}, {"step", text(1 + d)}, {"begin", text(c - count)}, {"count", text(count)}}, {map}};
  (*all)["DFFInt8Activation"] = {{{"in_zero", "3"}, {"zero", "90"}, {"slope", "0.1"}, {"factor", "0.7"}}, {map}};
  (*all)["DFFInt8Correlation"] = {{{"max_displacement", text(d)}, {"in_zero", "3"}, {"zero", "90"}, {"factor", "0.01"}, {"slope", "0.1"}},
                                  {map, map}};
  (*all)["DFFInt8FlowWarp"] = {{{"scale_zero", "3"}, {"zero", "90"}, {"factor", "0.5"}}, {{1, c, h, w}, {n, 2, h, w}, map}};
  (*all)["DFFInt8PooledScores"] = {{{"spatial_scale", "0.0625"}, {"pooled_size", text(side)}, {"outputs", text(filters)},
                                    {"first_channel", text(first)}, {"channels", text(c - first)}, {"zero", "3"}},
                                   {map, {r, 5}, {1, (filters + 31) / 32, depth / 4, 32, 4}, {filters}, {filters}, {side * side, filters}}};
}

std::map<std::string, Sample> samples() {
  const unsigned n = pick(1, 2), c = pick(1, 9), h = pick(1, 6), w = pick(1, 9), r = pick(1, 6);
  const unsigned group = pick(1, 3), filters = pick(1, 20), stride = pick(1, 2), d = pick(0, 3);
  const unsigned classes = pick(1, 5), kept = pick(0, std::min(4, int(r + h)));
  const unsigned phases = stride * stride, depth = phases * ((c + 7) / 8 * 8);
  const auto text = [](unsigned value) { return std::to_string(value); };
  const std::string zeros = "(0, 0, 0, 0)";
  std::map<std::string, Sample> all;
  all["DFFFlowWarp"] = {{{"has_scale", text(n - 1)}}, {{1, c, h, w}, {n, 2, h, w}}};
  if (n > 1) all["DFFFlowWarp"].shapes.push_back({n, c, h, w});
  all["DFFCorrelation"] = {{{"max_displacement", text(d)}}, {{n, c, h, w}, {n, c, h, w}}};
  all["DFFAggregate"] = {{{"frames", text(d + 1)}, {"has_flow", text(n - 1)}},
                         {{(d + 1) * r, c, h, w}, {(d + 1) * r, filters, h, w}, {r, filters, h, w}}};
  if (n > 1) all["DFFAggregate"].shapes.push_back({(d + 1) * r, 2, h, w});
  all["DFFPSROIPooling"] = {{{"spatial_scale", "0.0625"}, {"output_dim", text(filters)},
                             {"pooled_size", text(r)}, {"group_size", text(group)}},
                            {{n, filters * group * group, h, w}, {r, 5}}};
  all["DFFProposal"] = {{{"feature_stride", "16"}, {"scales", "(8, 16)"}, {"ratios", "(0.5, 1, 2)"},
                         {"rpn_pre_nms_top_n", text(60)}, {"rpn_post_nms_top_n", text(9)},
                         {"threshold", "0.7"}, {"rpn_min_size", "0"}},
                        {{n, 12, h, w}, {n, 24, h, w}, {n, 3}}};
  all["DFFRCNNTargets"] = {{{"images", text(n)}, {"kept", text(kept)}, {"foreground_limit", "1"},
                            {"sets", text(2 + d)}, {"agnostic", text(n - 1)}, {"foreground", "0.5"},
                            {"background_high", "0.5"}, {"background_low", "0"}, {"means", zeros},
                            {"stds", "(1, 1, 1, 1)"}, {"weights", zeros}},
                           {{n * r, 5}, {n, h, 5}}};
  if (kept) all["DFFRCNNTargets"].shapes.push_back({n, r + h});
  all["DFFHardExamples"] = {{{"images", text(n)}, {"keep", text(d)}},
                            {{n * r, classes}, {n * r, 8}, {n * r}, {n * r, 8}, {n * r, 8}}};
  all["DFFClassMap"] = {{}, {{1, classes, h, w}, {9 * h}, {9 * w}}};
  all["DFFImagePair"] = {{{"factor", "0.5"}}, {{n, c, h, w}, {1, c, h, w}}};
  all["DFFWinograd"] = {{{"num_filter", text(filters)}, {"dilate", text(stride > 1 ? 1 : 1 + d)},
                         {"stride", text(stride)}, {"up", "1"}, {"slope", "0.1"}},
                        {{n, c, h, w}, {36, (filters + 15) / 16, depth, 16}, {filters}}};
  all["DFFDeconvolution"] = {{{"num_filter", text(filters)}, {"slope", "0.1"}},
                             {{n, c, h, w}, {filters, c, 16}, {filters}}};
  all["DFFPooledScores"] = {{{"spatial_scale", "0.0625"}, {"pooled_size", text(group)}, {"outputs", text(filters)},
                             {"first_channel", text(d)}, {"channels", text(c)}},
                            {{n, c + d, h, w}, {r, 5}, {(c + 7) / 8, (filters + 15) / 16, group * group * 8, 16},
                             {group * group, filters}}};
  add_int8(n, h, w, filters, &all);
  add_features(n, h, w, r, filters, &all);
  return all;
}

std::string odd_number() {
  const char* const odd[] = {
      "0", "1", "2", "3", "7", "16", "-1", "255", "256", "257", "4096", "65535", "65536", "65537",
      "16777216", "16777217", "536870913", "1073741724", "2147483647", "2147483648", "4294967295",
      "4294967297", "nan", "1e-6", "1e300", "-1e39", "", "x", "(1, 2)", "(0, 0, 0, 0)", "0.5",
      "9223372036854775808"};
  return odd[pick(0, sizeof(odd) / sizeof(odd[0]) - 1)];
}

unsigned odd_axis() {
  const unsigned odd[] = {0, 1, 2, 3, 5, 8, 16, 36, 100, 1000, 65536, 1 << 24, (1 << 24) + 1,
                          1u << 31, 0xffffffffu};
  return odd[pick(0, sizeof(odd) / sizeof(odd[0]) - 1)];
}

// Changes one attribute, axis, or number of inputs.
void spoil(Sample* call) {
  const int kind = pick(0, 9);
  if (kind < 4 && !call->attributes.empty()) {
    auto entry = call->attributes.begin();
    std::advance(entry, pick(0, static_cast<int>(call->attributes.size()) - 1));
    if (kind) entry->second = odd_number();
    else call->attributes.erase(entry);
  } else if (kind < 7 && !call->shapes.empty()) {
    Shape& shape = call->shapes[pick(0, static_cast<int>(call->shapes.size()) - 1)];
    if (kind == 6 || shape.empty()) shape.resize(pick(0, 5), 1);
    else shape[pick(0, static_cast<int>(shape.size()) - 1)] = odd_axis();
  } else {
    call->shapes.resize(pick(0, static_cast<int>(call->shapes.size()) + 1), {1, 1});
  }
}

uint64_t elements_of(const Shape& shape) {
  uint64_t count = 1;
  for (const unsigned axis : shape) count = std::min<uint64_t>(count * axis, 1ull << 32);
  return count;
}

// Arrays of exactly the size that a call has, so that a step outside is seen.
struct Arrays {
  std::vector<std::unique_ptr<float[]>> memory;
  std::vector<std::unique_ptr<uint8_t[]>> bytes;
  Tensors tensors;

  void add(const Shape& shape, bool integral, int type = mxnet::ext::kFloat32) {
    const size_t count = elements_of(shape);
    const std::vector<int64_t> sizes(shape.begin(), shape.end());
    if (type != mxnet::ext::kFloat32) {
      bytes.emplace_back(new uint8_t[count]);
      for (size_t i = 0; i < count; ++i) bytes.back()[i] = static_cast<uint8_t>(pick(0, 255));
      tensors.emplace_back(bytes.back().get(), sizes, static_cast<mxnet::ext::MXDType>(type), 0, mxnet::ext::MXContext::CPU(0));
      return;
    }
    memory.emplace_back(new float[count]);
    const Floats values = numbers(count, integral ? -1 : -2, integral ? 3 : 300, pick(0, 1) * 10);
    std::copy(values.begin(), values.end(), memory.back().get());
    tensors.emplace_back(memory.back().get(), sizes, mxnet::ext::kFloat32, 0, mxnet::ext::MXContext::CPU(0));
  }
};

void run(const CustomOp& op, const AttributeMap& attributes, const Shapes& in, const Shapes& out, const Types& in_types,
         const Types& out_types) {
  const mxnet::ext::OpResource resource(nullptr, nullptr, nullptr, nullptr, nullptr, nullptr,
                                        nullptr, nullptr, nullptr);
  Arrays inputs, outputs, gradients, results;
  for (size_t i = 0; i < in.size(); ++i) inputs.add(in[i], false, in_types[i]);
  for (size_t i = 0; i < out.size(); ++i) outputs.add(out[i], false, out_types[i]);
  for (size_t i = 0; i < op.forward_fp.size(); ++i) {
    if (std::string(op.forward_ctx_cstr[i]) != "cpu") continue;
    op.forward_fp[i](attributes, &inputs.tensors, &outputs.tensors, resource);
  }
  for (size_t i = 0; i < op.backward_fp.size(); ++i) {
    if (std::string(op.backward_ctx_cstr[i]) != "cpu") continue;
    for (const Shape& shape : out) gradients.add(shape, true);
    for (const Tensors& part : {inputs.tensors, outputs.tensors}) {
      gradients.tensors.insert(gradients.tensors.end(), part.begin(), part.end());
    }
    for (const Shape& shape : in) results.add(shape, true);
    op.backward_fp[i](attributes, &gradients.tensors, &results.tensors, resource);
  }
}

// Whether the call was let through, and small enough to run.
bool call(const CustomOp& op, Sample sample) {
  int inputs = 0, outputs = 0;
  if (!op.parse_attrs(sample.attributes, &inputs, &outputs)) return false;
  Types in_types(sample.shapes.size(), -1), out_types(outputs, -1);
  Shapes out(outputs);
  const bool typed = op.infer_type(sample.attributes, &in_types, &out_types);
  const bool shaped = op.infer_shape(sample.attributes, &sample.shapes, &out);
  if (typed != (static_cast<int>(sample.shapes.size()) == inputs) || (shaped && !typed)) {
    printf("%s takes %zu inputs, and says that it has %d\n", op.name, sample.shapes.size(), inputs);
    exit(1);
  }
  if (!shaped) return false;
  uint64_t total = 0;
  for (const Shapes* shapes : {&sample.shapes, &out}) {
    for (const Shape& shape : *shapes) {
      const bool empty = shape.empty() || *std::min_element(shape.begin(), shape.end()) == 0;
      if (empty || elements_of(shape) > kMaxElements) {
        printf("%s takes or makes an array of shape %s\n", op.name, describe(shape).c_str());
        exit(1);
      }
      total += elements_of(shape);
    }
  }
  if (total > kMostElements) return false;
  run(op, sample.attributes, sample.shapes, out, in_types, out_types);
  return true;
}

}  // namespace

int main(int count, char** arguments) {
  const int rounds = count > 1 ? atoi(arguments[1]) : 200;
  mxnet::ext::Registry<CustomOp>& registry = *mxnet::ext::Registry<CustomOp>::get();
  std::map<std::string, int> whole, spoilt;
  for (int round = 0; round < rounds; ++round) {
    std::map<std::string, Sample> fitting = samples();
    for (int i = 0; i < registry.size(); ++i) {
      const CustomOp& op = registry.get(i);
      Sample sample = fitting.at(op.name);
      whole[op.name] += call(op, sample);
      for (int changes = pick(1, 2); changes > 0; --changes) spoil(&sample);
      spoilt[op.name] += call(op, sample);
    }
  }
  for (const auto& entry : whole) {
    printf("%s: %d of %d good calls, %d spoilt ones run\n", entry.first.c_str(), entry.second,
           rounds, spoilt[entry.first]);
  }
  return 0;
}
