// Registration of what goes before, between and behind the layers that multiply bytes; see README.md beside this file.
#include "op.h"

namespace dff {
namespace {

const char kQuantise[] = "DFFInt8Quantise", kDequantise[] = "DFFInt8Dequantise", kPooling[] = "DFFInt8Pooling";
const char kConcat[] = "DFFInt8Concat";
const int kMaxInputs = 64;

// Of quantising and back: `scale` is what a value, or a byte, is multiplied with.
struct Range {
  int begin, count, zero;
  float scale;
};

Range range_settings(const char* op, const AttributeMap& map) {
  const Attributes a(op, map, {"begin", "count", "zero", "scale"});
  return {a.integer("begin", 0, kMaxChannels), a.integer("count", 1, kMaxChannels), a.integer("zero", 0, 255), a.real("scale", 0, kLargestScale)};
}

Range quantise_settings(const AttributeMap& map) { return range_settings(kQuantise, map); }
Range dequantise_settings(const AttributeMap& map) { return range_settings(kDequantise, map); }

void check_channels(const char* op, const Range& r, unsigned channels) {
  if (static_cast<unsigned>(r.begin + r.count) > channels) {
    throw Error(std::string(op) + ": channels " + std::to_string(r.begin) + " to " + std::to_string(r.begin + r.count) + " of " +
                std::to_string(channels));
  }
}

MXReturnValue quantise_type(const AttributeMap&, Types* in, Types* out) {
  return guarded([&] {
    set_types(kQuantise, {mxnet::ext::kFloat32}, in);
    (*out)[0] = mxnet::ext::kUint8;
  });
}

MXReturnValue quantise_shape(const AttributeMap& map, Shapes* in, Shapes* out) {
  return guarded([&] {
    const Range r = quantise_settings(map);
    const Shape& data = (*in)[0];
    check_shape(kQuantise, "data", data, {kAny, kAny, kAny, kAny}, "[N, C, H, W]");
    check_channels(kQuantise, r, data[1]);
    (*out)[0] = {data[0], data[2], data[3], up(r.count, kInt8Group)};
  });
}

MXReturnValue quantise_forward(const AttributeMap& map, Tensors* in, Tensors* out, const OpResource&) {
  return guarded([&] {
    const Range r = quantise_settings(map);
    const MXTensor& data = (*in)[0];
    int8_quantise_cpu(map_of((*out)[0]), floats(data), dim(data, 1), r.begin, r.count, r.scale, r.zero, writable_bytes((*out)[0]));
  });
}

MXReturnValue dequantise_type(const AttributeMap&, Types* in, Types* out) {
  return guarded([&] {
    set_types(kDequantise, {mxnet::ext::kUint8}, in);
    (*out)[0] = mxnet::ext::kFloat32;
  });
}

MXReturnValue dequantise_shape(const AttributeMap& map, Shapes* in, Shapes* out) {
  return guarded([&] {
    const Range r = dequantise_settings(map);
    const Shape& data = (*in)[0];
    check_map(kDequantise, "data", data);
    check_channels(kDequantise, r, data[3]);
    if (r.begin % kInt8Group) throw Error(std::string(kDequantise) + ": begin must be a multiple of 4");
    (*out)[0] = {data[0], static_cast<unsigned>(r.count), data[1], data[2]};
  });
}

MXReturnValue dequantise_forward(const AttributeMap& map, Tensors* in, Tensors* out, const OpResource&) {
  return guarded([&] {
    const Range r = dequantise_settings(map);
    const MXTensor& data = (*in)[0];
    int8_dequantise_cpu(map_of(data), bytes(data), r.begin, r.count, r.scale, r.zero, writable((*out)[0]));
  });
}

struct Pooling {
  Int8Window window;
  bool mean, is_full;
};

Pooling pooling_settings(const AttributeMap& map) {
  const Attributes a(kPooling, map, {"kernel_h", "kernel_w", "stride", "pad_h", "pad_w", "mean", "is_full"});
  Pooling s = {};
  s.window.dilation = 1;
  window_settings(kPooling, a, &s.window);
  s.mean = a.flag("mean");
  s.is_full = a.flag("is_full");
  return s;
}

MXReturnValue bytes_type(const AttributeMap&, Types* in, Types* out) {
  return guarded([&] {
    set_types("DFFInt8 operator", {mxnet::ext::kUint8}, in);
    (*out)[0] = mxnet::ext::kUint8;
  });
}

MXReturnValue pooling_shape(const AttributeMap& map, Shapes* in, Shapes* out) {
  return guarded([&] {
    const Pooling s = pooling_settings(map);
    const Int8Window& w = s.window;
    const Shape& data = (*in)[0];
    check_map(kPooling, "data", data);
    // With the last window that begins within the map, if it is full.
    const int more = s.is_full ? w.stride - 1 : 0;
    const unsigned height = cells(kPooling, data[1] + more, w.pad_h, w.kernel_h, w.stride);
    const unsigned width = cells(kPooling, data[2] + more, w.pad_w, w.kernel_w, w.stride);
    (*out)[0] = {data[0], height, width, data[3]};
  });
}

MXReturnValue pooling_forward(const AttributeMap& map, Tensors* in, Tensors* out, const OpResource&) {
  return guarded([&] {
    const Pooling s = pooling_settings(map);
    const MXTensor &data = (*in)[0], &made = (*out)[0];
    int8_pooling_cpu(map_of(data), s.window, s.mean, bytes(data), dim(made, 1), dim(made, 2), writable_bytes(made));
  });
}

int concat_inputs(const AttributeMap& map) { return Attributes(kConcat, map, {"num_args"}).integer("num_args", 1, kMaxInputs); }

MXReturnValue concat_parse(const AttributeMap& map, int* inputs, int* outputs) {
  return guarded([&] {
    *inputs = concat_inputs(map);
    *outputs = 1;
  });
}

MXReturnValue concat_shape(const AttributeMap&, Shapes* in, Shapes* out) {
  return guarded([&] {
    const Shape& first = (*in)[0];
    uint64_t channels = 0;
    for (const Shape& shape : *in) {
      check_map(kConcat, "of a map", shape);
      check_shape(kConcat, "of a map", shape, {first[0], first[1], first[2], kAny}, "the first of " + describe(first));
      channels += shape[3];
    }
    (*out)[0] = {first[0], first[1], first[2], checked_product(kConcat, "channels", {channels})};
  });
}

MXReturnValue concat_forward(const AttributeMap&, Tensors* in, Tensors* out, const OpResource&) {
  return guarded([&] {
    const Int8Map all = map_of((*out)[0]);
    int begin = 0;
    for (const MXTensor& tensor : *in) {
      const int channels = dim(tensor, 3);
      int8_join_cpu(static_cast<size_t>(all.images) * all.height * all.width, bytes(tensor), channels, writable_bytes((*out)[0]), begin,
                    all.channels);
      begin += channels;
    }
  });
}

const auto quantise_parse = parse_fixed<Range, quantise_settings, 1, 1>;
typedef Checked<kQuantise, parse_fixed<Range, quantise_settings, 1, 1>> QuantiseEntry;
const auto dequantise_parse = parse_fixed<Range, dequantise_settings, 1, 1>;
typedef Checked<kDequantise, parse_fixed<Range, dequantise_settings, 1, 1>> DequantiseEntry;
const auto pooling_parse = parse_fixed<Pooling, pooling_settings, 1, 1>;
typedef Checked<kPooling, parse_fixed<Pooling, pooling_settings, 1, 1>> PoolingEntry;
typedef Checked<kConcat, concat_parse> ConcatEntry;


}  // namespace

REGISTER_OP(DFFInt8Quantise)
    .setParseAttrs(quantise_parse)
    .setInferType(QuantiseEntry::types<quantise_type>)
    .setInferShape(QuantiseEntry::shapes<quantise_shape>)
    .setForward(QuantiseEntry::forward<quantise_forward>, "cpu");

REGISTER_OP(DFFInt8Dequantise)
    .setParseAttrs(dequantise_parse)
    .setInferType(DequantiseEntry::types<dequantise_type>)
    .setInferShape(DequantiseEntry::shapes<dequantise_shape>)
    .setForward(DequantiseEntry::forward<dequantise_forward>, "cpu");

REGISTER_OP(DFFInt8Pooling)
    .setParseAttrs(pooling_parse)
    .setInferType(PoolingEntry::types<bytes_type>)
    .setInferShape(PoolingEntry::shapes<pooling_shape>)
    .setForward(PoolingEntry::forward<pooling_forward>, "cpu");

REGISTER_OP(DFFInt8Concat)
    .setParseAttrs(concat_parse)
    .setInferType(ConcatEntry::types<bytes_type>)
    .setInferShape(ConcatEntry::shapes<concat_shape>)
    .setForward(ConcatEntry::forward<concat_forward>, "cpu");

}  // namespace dff
