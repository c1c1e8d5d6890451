// Registration of what features.h does; see README.md beside this file.
#include "features.h"

#include "op.h"

namespace dff {
namespace {

const char kSlice[] = "DFFInt8Slice", kActivation[] = "DFFInt8Activation", kWarp[] = "DFFInt8FlowWarp", kScores[] = "DFFInt8PooledScores";
const char kCorrelation[] = "DFFInt8Correlation";
const unsigned kMaxCells = 1 << 23;      // bytes that it holds, of a map
const unsigned kMaxProducts = 1 << 15;   // products of two bytes less a zero that it holds
const int kMaxImages = 1 << 16, kMaxBins = 256, kMaxDisplacement = 64;
const int kFloat = mxnet::ext::kFloat32, kBytes = mxnet::ext::kUint8, kSigned = mxnet::ext::kInt8;

Int8Part slice_settings(const AttributeMap& map) {
  const Attributes a(kSlice, map, {"first", "step", "begin", "count"});
  const Int8Part p = {a.integer("first", 0, kMaxImages), a.integer("step", 1, kMaxImages), a.integer("begin", 0, kMaxChannels),
                      a.integer("count", 1, kMaxChannels)};
  if (p.begin % kInt8Group || p.count % kInt8Group) throw Error(std::string(kSlice) + ": begin and count must be multiples of 4");
  return p;
}

MXReturnValue slice_shape(const AttributeMap& map, Shapes* in, Shapes* out) {
  return guarded([&] {
    const Int8Part p = slice_settings(map);
    const Shape& data = (*in)[0];
    check_map(kSlice, "data", data);
    if (static_cast<unsigned>(p.begin + p.count) > data[3] || static_cast<unsigned>(p.first) >= data[0]) {
      throw Error(std::string(kSlice) + ": image " + std::to_string(p.first) + ", channels " + std::to_string(p.begin) + " to " +
                  std::to_string(p.begin + p.count) + " of data " + describe(data));
    }
    (*out)[0] = {static_cast<unsigned>(p.images(static_cast<int>(data[0]))), data[1], data[2], static_cast<unsigned>(p.count)};
  });
}

MXReturnValue slice_forward(const AttributeMap& map, Tensors* in, Tensors* out, const OpResource&) {
  return guarded([&] { int8_slice_cpu(map_of((*in)[0]), slice_settings(map), bytes((*in)[0]), writable_bytes((*out)[0])); });
}

struct Activation {
  int in_zero, zero;
  float slope, factor;
};

Activation activation_settings(const AttributeMap& map) {
  const Attributes a(kActivation, map, {"in_zero", "zero", "slope", "factor"});
  return {a.integer("in_zero", 0, 255), a.integer("zero", 0, 255), a.real("slope", -kHuge, kHuge), a.real("factor", 0, kLargestScale)};
}

MXReturnValue activation_shape(const AttributeMap&, Shapes* in, Shapes* out) {
  return guarded([&] {
    check_map(kActivation, "data", (*in)[0]);
    (*out)[0] = (*in)[0];
  });
}

MXReturnValue activation_forward(const AttributeMap& map, Tensors* in, Tensors* out, const OpResource&) {
  return guarded([&] {
    const Activation s = activation_settings(map);
    const Int8Map m = map_of((*in)[0]);
    int8_activation_cpu(static_cast<size_t>(m.images) * m.height * m.width * m.channels, bytes((*in)[0]), s.in_zero, s.slope, s.factor,
                        s.zero, writable_bytes((*out)[0]));
  });
}

Int8Scaling warp_settings(const AttributeMap& map) {
  const Attributes a(kWarp, map, {"scale_zero", "zero", "factor"});
  return {a.integer("scale_zero", 0, 255), a.integer("zero", 0, 255), a.real("factor", 0, kLargestScale)};
}

MXReturnValue warp_shape(const AttributeMap&, Shapes* in, Shapes* out) {
  return guarded([&] {
    const Shape &feature = (*in)[0], &flow = (*in)[1];
    check_shape(kWarp, "feature", feature, {kAny, kAny, kAny, kAny}, "[1 or N, C, H, W]");
    const std::string why = "feature " + describe(feature);
    check_shape(kWarp, "flow", flow, {feature[0] == 1 ? kAny : feature[0], 2, feature[2], feature[3]}, why);
    check_shape(kWarp, "scale", (*in)[2], {flow[0], feature[2], feature[3], feature[1]}, why + " with flow " + describe(flow));
    check_map(kWarp, "scale", (*in)[2]);
    (*out)[0] = (*in)[2];
  });
}

MXReturnValue warp_forward(const AttributeMap& map, Tensors* in, Tensors* out, const OpResource&) {
  return guarded([&] {
    const Tensors& i = *in;
    const WarpShape shape = {dim(i[0], 0), dim(i[1], 0), dim(i[0], 1), dim(i[0], 2), dim(i[0], 3)};
    int8_warp_cpu(shape, floats(i[0]), floats(i[1]), bytes(i[2]), warp_settings(map), writable_bytes((*out)[0]));
  });
}

struct Scores {
  PooledScoresShape shape;  // sizes that come from the inputs are 0
  int zero;
};

Scores scores_settings(const AttributeMap& map) {
  const Attributes a(kScores, map, {"spatial_scale", "outputs", "pooled_size", "first_channel", "channels", "zero"});
  Scores s = {};
  s.shape.first = a.integer("first_channel", 0, kMaxChannels);
  s.shape.channels = a.integer("channels", 1, kMaxChannels);
  s.shape.outputs = a.integer("outputs", 1, kMaxChannels);
  s.shape.pooled = a.integer("pooled_size", 1, kMaxBins);
  s.shape.spatial_scale = a.real("spatial_scale", kTiny, kHuge);
  s.zero = a.integer("zero", 0, 255);
  return s;
}

MXReturnValue scores_shape(const AttributeMap& map, Shapes* in, Shapes* out) {
  return guarded([&] {
    const PooledScoresShape s = scores_settings(map).shape;
    const Shape& data = (*in)[0];
    const unsigned bins = s.bins(), channels = s.channels, outputs = s.outputs, panels = up(outputs, kInt8Panel) / kInt8Panel;
    check_map(kScores, "data", data);
    const std::string why = std::to_string(channels) + " channels from " + std::to_string(s.first) + " on, of data " + describe(data);
    if (data[3] < s.first + channels) throw Error(std::string(kScores) + ": there are no " + why);
    checked_product(kScores, "cells", {data[1], data[2]}, kMaxCells);
    const unsigned depth = checked_product(kScores, "products of a sum", {bins, up(channels, kInt8Block)}, kMaxDepth);
    check_shape(kScores, "rois", (*in)[1], {kAny, 5}, why);
    check_shape(kScores, "weight", (*in)[2], {1, panels, depth / kInt8Group, kInt8Panel, kInt8Group}, why);
    check_shape(kScores, "scale", (*in)[3], {outputs}, why);
    check_shape(kScores, "shift", (*in)[4], {outputs}, why);
    check_shape(kScores, "bias", (*in)[5], {bins, outputs}, why);
    (*out)[0] = {(*in)[1][0], outputs};
  });
}

MXReturnValue scores_forward(const AttributeMap& map, Tensors* in, Tensors* out, const OpResource&) {
  return guarded([&] {
    const Tensors& i = *in;
    Scores s = scores_settings(map);
    const Int8Map m = map_of(i[0]);
    s.shape.images = m.images;
    s.shape.height = m.height;
    s.shape.width = m.width;
    s.shape.all_channels = m.channels;
    s.shape.rois = dim(i[1], 0);
    int8_scores_cpu(s.shape, bytes(i[0]), s.zero, floats(i[1]), static_cast<const int8_t*>(i[2].data_ptr), floats(i[3]), floats(i[4]),
                    floats(i[5]), writable((*out)[0]));
  });
}

struct Matching {
  Int8Matching how;
  int displacement;
};

Matching correlation_settings(const AttributeMap& map) {
  const Attributes a(kCorrelation, map, {"max_displacement", "in_zero", "zero", "factor", "slope"});
  Matching s = {};
  s.displacement = a.integer("max_displacement", 0, kMaxDisplacement);
  s.how = {a.integer("in_zero", 0, 255), a.integer("zero", 0, 255), a.real("factor", 0, kLargestScale), a.real("slope", -kHuge, kHuge)};
  return s;
}

MXReturnValue correlation_shape(const AttributeMap& map, Shapes* in, Shapes* out) {
  return guarded([&] {
    const Shape& current = (*in)[0];
    const int displacement = correlation_settings(map).displacement;
    check_map(kCorrelation, "current", current);
    check_shape(kCorrelation, "reference", (*in)[1], current, "current " + describe(current));
    checked_product(kCorrelation, "products of a sum", {current[3]}, kMaxProducts);
    (*out)[0] = {current[0], current[1], current[2], up((2 * displacement + 1) * (2 * displacement + 1), kInt8Group)};
  });
}

MXReturnValue correlation_forward(const AttributeMap& map, Tensors* in, Tensors* out, const OpResource&) {
  return guarded([&] {
    const Matching s = correlation_settings(map);
    const Int8Map m = map_of((*in)[0]);
    const CorrelationShape shape = {m.images, m.channels, m.height, m.width, s.displacement};
    int8_correlation_cpu(shape, s.how, bytes((*in)[0]), bytes((*in)[1]), writable_bytes((*out)[0]));
  });
}

// Sets the types of an operator's inputs, and of its output.
template <const char* kOp, int kMade, int... kWanted>
MXReturnValue types(const AttributeMap&, Types* in, Types* out) {
  return guarded([&] {
    set_types(kOp, {kWanted...}, in);
    (*out)[0] = kMade;
  });
}

const auto slice_parse = parse_fixed<Int8Part, slice_settings, 1, 1>;
typedef Checked<kSlice, parse_fixed<Int8Part, slice_settings, 1, 1>> SliceEntry;
const auto activation_parse = parse_fixed<Activation, activation_settings, 1, 1>;
typedef Checked<kActivation, parse_fixed<Activation, activation_settings, 1, 1>> ActivationEntry;
const auto warp_parse = parse_fixed<Int8Scaling, warp_settings, 3, 1>;
typedef Checked<kWarp, parse_fixed<Int8Scaling, warp_settings, 3, 1>> WarpEntry;
const auto scores_parse = parse_fixed<Scores, scores_settings, 6, 1>;
typedef Checked<kScores, parse_fixed<Scores, scores_settings, 6, 1>> ScoresEntry;

const auto correlation_parse = parse_fixed<Matching, correlation_settings, 2, 1>;
typedef Checked<kCorrelation, parse_fixed<Matching, correlation_settings, 2, 1>> CorrelationEntry;

}  // namespace

REGISTER_OP(DFFInt8Slice)
    .setParseAttrs(slice_parse)
    .setInferType(SliceEntry::types<types<kSlice, kBytes, kBytes>>)
    .setInferShape(SliceEntry::shapes<slice_shape>)
    .setForward(SliceEntry::forward<slice_forward>, "cpu");

REGISTER_OP(DFFInt8Activation)
    .setParseAttrs(activation_parse)
    .setInferType(ActivationEntry::types<types<kActivation, kBytes, kBytes>>)
    .setInferShape(ActivationEntry::shapes<activation_shape>)
    .setForward(ActivationEntry::forward<activation_forward>, "cpu");

REGISTER_OP(DFFInt8Correlation)
    .setParseAttrs(correlation_parse)
    .setInferType(CorrelationEntry::types<types<kCorrelation, kBytes, kBytes, kBytes>>)
    .setInferShape(CorrelationEntry::shapes<correlation_shape>)
    .setForward(CorrelationEntry::forward<correlation_forward>, "cpu");

REGISTER_OP(DFFInt8FlowWarp)
    .setParseAttrs(warp_parse)
    .setInferType(WarpEntry::types<types<kWarp, kBytes, kFloat, kFloat, kBytes>>)
    .setInferShape(WarpEntry::shapes<warp_shape>)
    .setForward(WarpEntry::forward<warp_forward>, "cpu");

REGISTER_OP(DFFInt8PooledScores)
    .setParseAttrs(scores_parse)
    .setInferType(ScoresEntry::types<types<kScores, kFloat, kBytes, kFloat, kSigned, kFloat, kFloat, kFloat>>)
    .setInferShape(ScoresEntry::shapes<scores_shape>)
    .setForward(ScoresEntry::forward<scores_forward>, "cpu");

}  // namespace dff
