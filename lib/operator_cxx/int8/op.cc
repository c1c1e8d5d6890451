// Registration of the DFFInt8... operators; see README.md beside this file.
#include "../common/op.h"
#include "cpu.h"
#include "product.h"

namespace dff {
namespace {

using mxnet::ext::MXTensor;

const char kConvolution[] = "DFFInt8Convolution", kDeconvolution[] = "DFFInt8Deconvolution", kQuantise[] = "DFFInt8Quantise";
const char kDequantise[] = "DFFInt8Dequantise", kPooling[] = "DFFInt8Pooling", kConcat[] = "DFFInt8Concat";
const int kMaxWindow = 256, kMaxInputs = 64;
const unsigned kMaxDepth = 1 << 16;  // products of bytes that a sum of 32 bits holds

const uint8_t* bytes(const MXTensor& tensor) { return static_cast<const uint8_t*>(tensor.data_ptr); }
uint8_t* writable_bytes(const MXTensor& tensor) { return static_cast<uint8_t*>(tensor.data_ptr); }
Int8Map map_of(const MXTensor& t) { return {dim(t, 0), dim(t, 1), dim(t, 2), dim(t, 3)}; }
unsigned up(unsigned number, unsigned multiple) { return (number + multiple - 1) / multiple * multiple; }

void check_map(const char* op, const char* name, const Shape& shape) {
  check_shape(op, name, shape, {kAny, kAny, kAny, kAny}, "[N, H, W, C]");
  if (shape[3] % kInt8Group) throw Error(std::string(op) + ": input " + name + " " + describe(shape) + " has channels that are no multiple of 4");
}

// Sets the types of all tensors, and refuses those that differ.
void set_types(const char* op, const std::vector<int>& wanted, Types* types) {
  for (size_t i = 0; i < types->size(); ++i) {
    const int type = wanted[i < wanted.size() ? i : wanted.size() - 1];
    if ((*types)[i] == -1) (*types)[i] = type;
    if ((*types)[i] != type) throw Error(std::string(op) + ": input " + std::to_string(i) + " is of a wrong type");
  }
}

// Of both kinds of layer.
struct Layer {
  unsigned filters;
  Int8Window window;
  float slope, other_scale;
  int in_zero, zero, other_zero;
  bool is_float, has_other;
};

Layer result_settings(const Attributes& a) {
  Layer s = {};
  s.filters = a.integer("num_filter", 1, kMaxChannels);
  s.slope = a.real("slope", -kHuge, kHuge);
  s.in_zero = a.integer("in_zero", 0, 255);
  s.zero = a.integer("zero", 0, 255);
  return s;
}

int extent(int kernel, int dilation) { return (kernel - 1) * dilation + 1; }

void window_settings(const char* op, const Attributes& a, Int8Window* w) {
  w->kernel_h = a.integer("kernel_h", 1, kMaxWindow);
  w->kernel_w = a.integer("kernel_w", 1, kMaxWindow);
  w->stride = a.integer("stride", 1, kMaxWindow);
  w->pad_h = a.integer("pad_h", 0, kMaxWindow);
  w->pad_w = a.integer("pad_w", 0, kMaxWindow);
  if (w->dilation == 0) w->dilation = a.integer("dilate", 1, kMaxWindow);
  if (w->pad_h >= extent(w->kernel_h, w->dilation) || w->pad_w >= extent(w->kernel_w, w->dilation)) {
    throw Error(std::string(op) + ": the padding must be smaller than the window");
  }
}

Layer convolution_settings(const AttributeMap& map) {
  const Attributes a(kConvolution, map, {"num_filter", "slope", "in_zero", "zero", "kernel_h", "kernel_w", "stride", "pad_h", "pad_w", "dilate",
                                         "is_float", "has_other", "other_scale", "other_zero"});
  Layer s = result_settings(a);
  window_settings(kConvolution, a, &s.window);
  s.is_float = a.flag("is_float");
  s.has_other = a.flag("has_other");
  s.other_scale = a.real("other_scale", -kHuge, kHuge);
  s.other_zero = a.integer("other_zero", 0, 255);
  return s;
}

Layer deconvolution_settings(const AttributeMap& map) {
  return result_settings(Attributes(kDeconvolution, map, {"num_filter", "slope", "in_zero", "zero"}));
}

unsigned cells(const char* op, unsigned size, int pad, int extent, int stride) {
  const int64_t free = static_cast<int64_t>(size) + 2 * pad - extent;
  if (free < 0) throw Error(std::string(op) + ": the window is larger than the map of " + std::to_string(size) + " cells");
  return static_cast<unsigned>(free / stride + 1);
}

void check_layer(const char* op, const Layer& s, const Shape& data, unsigned taps, unsigned phases, const Shapes& in) {
  const unsigned depth = checked_product(op, "products of a sum", {taps, data[3]}, kMaxDepth);
  const unsigned panels = up(s.filters, kInt8Panel) / kInt8Panel;
  const std::string why = "data " + describe(data);
  check_shape(op, "weight", in[1], {phases, panels, depth / kInt8Group, kInt8Panel, kInt8Group}, why);
  check_shape(op, "scale", in[2], {s.filters}, why);
  check_shape(op, "shift", in[3], phases == 1 ? Shape{s.filters} : Shape{phases, s.filters}, why);
}

MXReturnValue convolution_parse(const AttributeMap& map, int* inputs, int* outputs) {
  return guarded([&] {
    *inputs = convolution_settings(map).has_other ? 5 : 4;
    *outputs = 1;
  });
}

MXReturnValue convolution_type(const AttributeMap& map, Types* in, Types* out) {
  return guarded([&] {
    set_types(kConvolution, {mxnet::ext::kUint8, mxnet::ext::kInt8, mxnet::ext::kFloat32, mxnet::ext::kFloat32, mxnet::ext::kUint8}, in);
    (*out)[0] = convolution_settings(map).is_float ? mxnet::ext::kFloat32 : mxnet::ext::kUint8;
  });
}

MXReturnValue convolution_shape(const AttributeMap& map, Shapes* in, Shapes* out) {
  return guarded([&] {
    const Layer s = convolution_settings(map);
    const Int8Window& w = s.window;
    const Shape& data = (*in)[0];
    check_map(kConvolution, "data", data);
    check_layer(kConvolution, s, data, w.kernel_h * w.kernel_w, 1, *in);
    const unsigned height = cells(kConvolution, data[1], w.pad_h, extent(w.kernel_h, w.dilation), w.stride);
    const unsigned width = cells(kConvolution, data[2], w.pad_w, extent(w.kernel_w, w.dilation), w.stride);
    const Shape made = {data[0], height, width, up(s.filters, kInt8Group)};
    if (s.has_other) check_shape(kConvolution, "other", (*in)[4], made, "data " + describe(data));
    (*out)[0] = s.is_float ? Shape{data[0], s.filters, height, width} : made;
  });
}

Int8Result result_of(const Layer& s, const Tensors& in, const MXTensor& out, bool is_float) {
  Int8Result r = {};
  r.filters = static_cast<int>(s.filters);
  r.scale = floats(in[2]);
  r.shift = floats(in[3]);
  r.slope = s.slope;
  r.zero = s.zero;
  r.bytes = is_float ? nullptr : writable_bytes(out);
  r.values = is_float ? writable(out) : nullptr;
  r.height = dim(out, is_float ? 2 : 1);
  r.width = dim(out, is_float ? 3 : 2);
  return r;
}

MXReturnValue convolution_forward(const AttributeMap& map, Tensors* in, Tensors* out, const OpResource&) {
  return guarded([&] {
    const Tensors& i = *in;
    const Layer s = convolution_settings(map);
    Int8Result r = result_of(s, i, (*out)[0], s.is_float);
    r.other = s.has_other ? bytes(i[4]) : nullptr;
    r.other_scale = s.other_scale;
    r.other_zero = s.other_zero;
    int8_convolution_cpu(map_of(i[0]), s.window, bytes(i[0]), s.in_zero, static_cast<const int8_t*>(i[1].data_ptr), r);
  });
}

MXReturnValue deconvolution_type(const AttributeMap&, Types* in, Types* out) {
  return guarded([&] {
    set_types(kDeconvolution, {mxnet::ext::kUint8, mxnet::ext::kInt8, mxnet::ext::kFloat32, mxnet::ext::kFloat32, mxnet::ext::kUint8}, in);
    (*out)[0] = mxnet::ext::kUint8;
  });
}

MXReturnValue deconvolution_shape(const AttributeMap& map, Shapes* in, Shapes* out) {
  return guarded([&] {
    const Layer s = deconvolution_settings(map);
    const Shape &data = (*in)[0], &like = (*in)[4];
    check_map(kDeconvolution, "data", data);
    check_layer(kDeconvolution, s, data, 4, 4, *in);
    check_shape(kDeconvolution, "like", like, {data[0], kAny, kAny, kAny}, "data " + describe(data));
    if (like[1] > 2 * data[1] || like[2] > 2 * data[2]) {
      throw Error(std::string(kDeconvolution) + ": input like " + describe(like) + " is more than twice as large as data " + describe(data));
    }
    (*out)[0] = {data[0], like[1], like[2], up(s.filters, kInt8Group)};
  });
}

MXReturnValue deconvolution_forward(const AttributeMap& map, Tensors* in, Tensors* out, const OpResource&) {
  return guarded([&] {
    const Tensors& i = *in;
    const Layer s = deconvolution_settings(map);
    int8_deconvolution_cpu(map_of(i[0]), bytes(i[0]), s.in_zero, static_cast<const int8_t*>(i[1].data_ptr), result_of(s, i, (*out)[0], false));
  });
}

// Of quantising and back: `scale` is what a value, or a byte, is multiplied with.
struct Range {
  int begin, count, zero;
  float scale;
};

Range range_settings(const char* op, const AttributeMap& map) {
  const Attributes a(op, map, {"begin", "count", "zero", "scale"});
  return {a.integer("begin", 0, kMaxChannels), a.integer("count", 1, kMaxChannels), a.integer("zero", 0, 255), a.real("scale", 0, 1e30f)};
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

typedef Checked<kConvolution, convolution_parse> ConvolutionEntry;
const auto deconvolution_parse = parse_fixed<Layer, deconvolution_settings, 5, 1>;
typedef Checked<kDeconvolution, parse_fixed<Layer, deconvolution_settings, 5, 1>> DeconvolutionEntry;
const auto quantise_parse = parse_fixed<Range, quantise_settings, 1, 1>;
typedef Checked<kQuantise, parse_fixed<Range, quantise_settings, 1, 1>> QuantiseEntry;
const auto dequantise_parse = parse_fixed<Range, dequantise_settings, 1, 1>;
typedef Checked<kDequantise, parse_fixed<Range, dequantise_settings, 1, 1>> DequantiseEntry;
const auto pooling_parse = parse_fixed<Pooling, pooling_settings, 1, 1>;
typedef Checked<kPooling, parse_fixed<Pooling, pooling_settings, 1, 1>> PoolingEntry;
typedef Checked<kConcat, concat_parse> ConcatEntry;

}  // namespace

REGISTER_OP(DFFInt8Convolution)
    .setParseAttrs(convolution_parse)
    .setInferType(ConvolutionEntry::types<convolution_type>)
    .setInferShape(ConvolutionEntry::shapes<convolution_shape>)
    .setForward(ConvolutionEntry::forward<convolution_forward>, "cpu");

REGISTER_OP(DFFInt8Deconvolution)
    .setParseAttrs(deconvolution_parse)
    .setInferType(DeconvolutionEntry::types<deconvolution_type>)
    .setInferShape(DeconvolutionEntry::shapes<deconvolution_shape>)
    .setForward(DeconvolutionEntry::forward<deconvolution_forward>, "cpu");

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
