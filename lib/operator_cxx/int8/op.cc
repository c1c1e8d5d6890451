// Registration of the layers that multiply bytes; see README.md beside this file.
#include "op.h"

namespace dff {
namespace {

const char kConvolution[] = "DFFInt8Convolution", kDeconvolution[] = "DFFInt8Deconvolution";

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

Layer convolution_settings(const AttributeMap& map) {
  const Attributes a(kConvolution, map, {"num_filter", "slope", "in_zero", "zero", "kernel_h", "kernel_w", "stride", "pad_h", "pad_w", "dilate",
                                         "is_float", "has_other", "other_scale", "other_zero"});
  Layer s = result_settings(a);
  window_settings(kConvolution, a, &s.window);
  s.is_float = a.flag("is_float");
  s.has_other = a.flag("has_other");
  s.other_scale = a.real("other_scale", -kLargestScale, kLargestScale);
  s.other_zero = a.integer("other_zero", 0, 255);
  return s;
}

Layer deconvolution_settings(const AttributeMap& map) {
  return result_settings(Attributes(kDeconvolution, map, {"num_filter", "slope", "in_zero", "zero"}));
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

typedef Checked<kConvolution, convolution_parse> ConvolutionEntry;
const auto deconvolution_parse = parse_fixed<Layer, deconvolution_settings, 5, 1>;
typedef Checked<kDeconvolution, parse_fixed<Layer, deconvolution_settings, 5, 1>> DeconvolutionEntry;

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

}  // namespace dff
