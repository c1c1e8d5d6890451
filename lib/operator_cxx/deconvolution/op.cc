// Registration of DFFDeconvolution(data, weight, bias); see README.md beside this file.
#include "../common/op.h"
#include "cpu.h"

namespace dff {
namespace {

const char kOp[] = "DFFDeconvolution";

struct Settings {
  unsigned filters;
  float slope;
};

Settings settings(const AttributeMap& map) {
  const Attributes a(kOp, map, {"num_filter", "slope"});
  return {static_cast<unsigned>(a.integer("num_filter", 1, kMaxChannels)), a.real("slope", -kHuge, kHuge)};
}

MXReturnValue infer_shape(const AttributeMap& map, Shapes* in, Shapes* out) {
  return guarded([&] {
    const unsigned filters = settings(map).filters;
    const Shape& data = (*in)[0];
    check_shape(kOp, "data", data, {kAny, kAny, kAny, kAny}, "a deconvolution");
    const std::string why = "data " + describe(data);
    check_shape(kOp, "weight", (*in)[1], {filters, data[1], kTaps}, why);
    check_shape(kOp, "bias", (*in)[2], {filters}, why);
    (*out)[0] = {data[0], filters, checked_product(kOp, "rows of the output", {2, data[2]}),
                 checked_product(kOp, "columns of the output", {2, data[3]})};
  });
}

MXReturnValue forward_cpu(const AttributeMap& map, Tensors* in, Tensors* out, const OpResource&) {
  return guarded([&] {
    const Tensors& i = *in;
    const Settings s = settings(map);
    const DeconvolutionShape shape = {dim(i[0], 0), dim(i[0], 1), static_cast<int>(s.filters), dim(i[0], 2), dim(i[0], 3)};
    deconvolution_cpu(shape, floats(i[0]), floats(i[1]), floats(i[2]), s.slope, writable((*out)[0]));
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

REGISTER_OP(DFFDeconvolution)
    .setParseAttrs(parse)
    .setInferType(Entry::types<infer_float32>)
    .setInferShape(Entry::shapes<infer_shape>)
    .setForward(Entry::forward<forward_cpu>, "cpu");

}  // namespace dff
