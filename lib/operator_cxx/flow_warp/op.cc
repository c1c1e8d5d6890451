// Registration of DFFFlowWarp(feature, flow[, scale]); see README.md beside this file.
#include "../common/op.h"
#include "cpu.h"
#include "gpu.h"

namespace dff {
namespace {

const char kOp[] = "DFFFlowWarp";

bool has_scale(const AttributeMap& attributes) {
  return Attributes(kOp, attributes, {"has_scale"}).flag("has_scale");
}

MXReturnValue parse(const AttributeMap& attributes, int* inputs, int* outputs) {
  return guarded([&] {
    *inputs = has_scale(attributes) ? 3 : 2;
    *outputs = 1;
  });
}

MXReturnValue infer_shape(const AttributeMap&, Shapes* in, Shapes* out) {
  return guarded([&] {
    const Shape &feature = (*in)[0], &flow = (*in)[1];
    check_shape(kOp, "feature", feature, {kAny, kAny, kAny, kAny}, "[1 or N, C, H, W]");
    const std::string why = "feature " + describe(feature);
    check_shape(kOp, "flow", flow, {feature[0] == 1 ? kAny : feature[0], 2, feature[2], feature[3]}, why);
    const Shape full = {flow[0], feature[1], feature[2], feature[3]};
    if (in->size() > 2) check_shape(kOp, "scale", (*in)[2], full, why + " with flow " + describe(flow));
    (*out)[0] = full;
  });
}

WarpShape shape_of(const mxnet::ext::MXTensor& feature, const mxnet::ext::MXTensor& flow) {
  return {dim(feature, 0), dim(flow, 0), dim(feature, 1), dim(feature, 2), dim(feature, 3)};
}

MXReturnValue forward_cpu(const AttributeMap&, Tensors* in, Tensors* out, const OpResource&) {
  const Tensors& i = *in;
  return guarded([&] {
    warp_forward_cpu(shape_of(i[0], i[1]), floats(i[0]), floats(i[1]), i.size() > 2 ? floats(i[2]) : nullptr,
                     writable((*out)[0]));
  });
}

// Inputs: the output's gradient, the inputs, the output.
MXReturnValue backward_cpu(const AttributeMap&, Tensors* in, Tensors* out, const OpResource&) {
  const Tensors &i = *in, &o = *out;
  const bool scaled = o.size() > 2;
  return guarded([&] {
    warp_backward_cpu(shape_of(i[1], i[2]), floats(i[0]), floats(i[1]), floats(i[2]), scaled ? floats(i[3]) : nullptr,
                      writable(o[0]), writable(o[1]), scaled ? writable(o[2]) : nullptr);
  });
}

MXReturnValue forward_gpu(const AttributeMap&, Tensors* in, Tensors* out, const OpResource& resource) {
  const Tensors& i = *in;
  return guarded([&] {
    warp_forward_gpu(GpuQueue(resource.get_cuda_stream()), shape_of(i[0], i[1]), floats(i[0]), floats(i[1]),
                     i.size() > 2 ? floats(i[2]) : nullptr, writable((*out)[0]));
  });
}

MXReturnValue backward_gpu(const AttributeMap&, Tensors* in, Tensors* out, const OpResource& resource) {
  const Tensors &i = *in, &o = *out;
  const bool scaled = o.size() > 2;
  return guarded([&] {
    warp_backward_gpu(GpuQueue(resource.get_cuda_stream()), shape_of(i[1], i[2]), floats(i[0]), floats(i[1]), floats(i[2]),
                      scaled ? floats(i[3]) : nullptr, writable(o[0]), writable(o[1]), scaled ? writable(o[2]) : nullptr);
  });
}

typedef Checked<kOp, parse> Entry;

}  // namespace

REGISTER_OP(DFFFlowWarp)
    .setParseAttrs(parse)
    .setInferType(Entry::types<infer_float32>)
    .setInferShape(Entry::shapes<infer_shape>)
    .setForward(Entry::forward<forward_cpu>, "cpu")
    .setForward(Entry::forward<forward_gpu>, "gpu")
    .setBackward(Entry::backward<backward_cpu>, "cpu")
    .setBackward(Entry::backward<backward_gpu>, "gpu");

}  // namespace dff
