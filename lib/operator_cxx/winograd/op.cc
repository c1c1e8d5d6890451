// Registration of DFFWinograd(data, weight, bias); see README.md beside this file.
#include "../common/op.h"
#include "cpu.h"

namespace dff {
namespace {

const char kOp[] = "DFFWinograd";

const int kMaxDilation = 256;

struct Settings {
  WinogradShape shape;  // sizes that come from the inputs are 0
  float slope;
};

Settings settings(const AttributeMap& map) {
  const Attributes a(kOp, map, {"num_filter", "dilate", "stride", "up", "slope"});
  Settings s = {};
  s.shape.up = a.integer("up", 1, 2);
  s.shape.out_channels = a.integer("num_filter", 1, kMaxChannels) * s.shape.up * s.shape.up;
  s.shape.dilation = a.integer("dilate", 1, kMaxDilation);
  s.shape.stride = a.integer("stride", 1, 2);
  s.slope = a.real("slope", -kHuge, kHuge);
  if (s.shape.stride == 2 && s.shape.dilation > 1) {
    throw Error(std::string(kOp) + ": stride must be 1, or 2 with dilate 1");
  }
  if (s.shape.up == 2 && (s.shape.stride > 1 || s.shape.dilation > 1)) {
    throw Error(std::string(kOp) + ": up must be 1, or 2 with stride 1 and dilate 1");
  }
  return s;
}

Settings settings(const AttributeMap& map, const Shape& data) {
  Settings s = settings(map);
  s.shape.images = data[0];
  s.shape.in_channels = data[1];
  s.shape.in_height = data[2];
  s.shape.in_width = data[3];
  return s;
}

MXReturnValue infer_shape(const AttributeMap& map, Shapes* in, Shapes* out) {
  return guarded([&] {
    check_shape(kOp, "data", (*in)[0], {kAny, kAny, kAny, kAny}, "a convolution");
    const WinogradShape s = settings(map, (*in)[0]).shape;
    const std::string why = "data " + describe((*in)[0]);
    const unsigned panels = s.panels(), depth = s.depth(), filters = s.filters();
    check_shape(kOp, "weight", (*in)[1], {kPositions, panels, depth, kPanel}, why);
    check_shape(kOp, "bias", (*in)[2], {filters}, why);
    (*out)[0] = {(*in)[0][0], filters, static_cast<unsigned>(s.up * s.height()), static_cast<unsigned>(s.up * s.width())};
  });
}

MXReturnValue forward_cpu(const AttributeMap& map, Tensors* in, Tensors* out, const OpResource&) {
  return guarded([&] {
    const Tensors& i = *in;
    const Shape data = {static_cast<unsigned>(dim(i[0], 0)), static_cast<unsigned>(dim(i[0], 1)), static_cast<unsigned>(dim(i[0], 2)),
                        static_cast<unsigned>(dim(i[0], 3))};
    const Settings s = settings(map, data);
    winograd_cpu(s.shape, floats(i[0]), floats(i[1]), floats(i[2]), s.slope, writable((*out)[0]));
  });
}

MXReturnValue parse(const AttributeMap& map, int* inputs, int* outputs) {
  return guarded([&] {
    settings(map);
    *inputs = 3;
    *outputs = 1;
  });
}

typedef Checked<kOp, parse> Entry;

}  // namespace

REGISTER_OP(DFFWinograd)
    .setParseAttrs(parse)
    .setInferType(Entry::types<infer_float32>)
    .setInferShape(Entry::shapes<infer_shape>)
    .setForward(Entry::forward<forward_cpu>, "cpu");

}  // namespace dff
