// Registration of DFFCorrelation(current, reference); see README.md beside this file.
#include "../common/op.h"
#include "cpu.h"
#include "gpu.h"

namespace dff {
namespace {

const char kOp[] = "DFFCorrelation";

const int kMaxDisplacement = 256;  // cells, of maps that are hardly larger

int settings(const AttributeMap& attributes) {
  return Attributes(kOp, attributes, {"max_displacement"}).integer("max_displacement", 0, kMaxDisplacement);
}

MXReturnValue infer_shape(const AttributeMap& attributes, Shapes* in, Shapes* out) {
  return guarded([&] {
    const Shape& current = (*in)[0];
    check_shape(kOp, "current", current, {kAny, kAny, kAny, kAny}, "[N, C, H, W]");
    check_shape(kOp, "reference", (*in)[1], current, "current " + describe(current));
    const unsigned side = 2 * settings(attributes) + 1;
    (*out)[0] = {current[0], checked_product(kOp, "channels of the output", {side, side}), current[2], current[3]};
  });
}

CorrelationShape shape_of(const AttributeMap& attributes, const mxnet::ext::MXTensor& current) {
  return {dim(current, 0), dim(current, 1), dim(current, 2), dim(current, 3), settings(attributes)};
}

MXReturnValue forward_cpu(const AttributeMap& attributes, Tensors* in, Tensors* out, const OpResource&) {
  const Tensors& i = *in;
  return guarded([&] { correlation_forward_cpu(shape_of(attributes, i[0]), floats(i[0]), floats(i[1]), writable((*out)[0])); });
}

// Inputs: the output's gradient, the inputs, the output.
MXReturnValue backward_cpu(const AttributeMap& attributes, Tensors* in, Tensors* out, const OpResource&) {
  const Tensors &i = *in, &o = *out;
  return guarded([&] {
    correlation_backward_cpu(shape_of(attributes, i[1]), floats(i[0]), floats(i[1]), floats(i[2]), writable(o[0]), writable(o[1]));
  });
}

MXReturnValue forward_gpu(const AttributeMap& attributes, Tensors* in, Tensors* out, const OpResource& resource) {
  const Tensors& i = *in;
  return guarded([&] {
    correlation_forward_gpu(GpuQueue(resource.get_cuda_stream()), shape_of(attributes, i[0]), floats(i[0]), floats(i[1]),
                            writable((*out)[0]));
  });
}

MXReturnValue backward_gpu(const AttributeMap& attributes, Tensors* in, Tensors* out, const OpResource& resource) {
  const Tensors &i = *in, &o = *out;
  return guarded([&] {
    correlation_backward_gpu(GpuQueue(resource.get_cuda_stream()), shape_of(attributes, i[1]), floats(i[0]), floats(i[1]),
                             floats(i[2]), writable(o[0]), writable(o[1]));
  });
}

typedef Checked<kOp, parse_fixed<int, settings, 2, 1>> Entry;

}  // namespace

REGISTER_OP(DFFCorrelation)
    .setParseAttrs(parse_fixed<int, settings, 2, 1>)
    .setInferType(Entry::types<infer_float32>)
    .setInferShape(Entry::shapes<infer_shape>)
    .setForward(Entry::forward<forward_cpu>, "cpu")
    .setForward(Entry::forward<forward_gpu>, "gpu")
    .setBackward(Entry::backward<backward_cpu>, "cpu")
    .setBackward(Entry::backward<backward_gpu>, "gpu");

}  // namespace dff
