// Registration of DFFImagePair(current, reference); see README.md beside this file.  It has no gradient.
#include "../common/op.h"
#include "cpu.h"
#include "gpu.h"

namespace dff {
namespace {

const char kOp[] = "DFFImagePair";

float factor(const AttributeMap& map) { return Attributes(kOp, map, {"factor"}).real("factor", -kHuge, kHuge); }

MXReturnValue infer_shape(const AttributeMap&, Shapes* in, Shapes* out) {
  return guarded([&] {
    const Shape &current = (*in)[0], &reference = (*in)[1];
    check_shape(kOp, "current", current, {kAny, kAny, kAny, kAny}, "[N, C, H, W]");
    const Shape one = {1, current[1], current[2], current[3]};
    if (reference != one) check_shape(kOp, "reference", reference, current, "current " + describe(current));
    (*out)[0] = {current[0], checked_product(kOp, "channels of the output", {2, current[1]}), (current[2] + 1) / 2, (current[3] + 1) / 2};
  });
}

ImagePairShape shape_of(const AttributeMap& map, const Tensors& in) {
  return {dim(in[0], 0), dim(in[1], 0), dim(in[0], 1), dim(in[0], 2), dim(in[0], 3), factor(map)};
}

MXReturnValue forward_cpu(const AttributeMap& map, Tensors* in, Tensors* out, const OpResource&) {
  const Tensors& i = *in;
  return guarded([&] { image_pair_cpu(shape_of(map, i), floats(i[0]), floats(i[1]), writable((*out)[0])); });
}

MXReturnValue forward_gpu(const AttributeMap& map, Tensors* in, Tensors* out, const OpResource& resource) {
  const Tensors& i = *in;
  return guarded([&] {
    image_pair_gpu(GpuQueue(resource.get_cuda_stream()), shape_of(map, i), floats(i[0]), floats(i[1]), writable((*out)[0]));
  });
}

typedef Checked<kOp, parse_fixed<float, factor, 2, 1>> Entry;

}  // namespace

REGISTER_OP(DFFImagePair)
    .setParseAttrs(parse_fixed<float, factor, 2, 1>)
    .setInferType(Entry::types<infer_float32>)
    .setInferShape(Entry::shapes<infer_shape>)
    .setForward(Entry::forward<forward_cpu>, "cpu")
    .setForward(Entry::forward<forward_gpu>, "gpu");

}  // namespace dff
