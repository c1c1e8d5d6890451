// Registration of DFFAggregate(feature, embedding, query[, flow]); see README.md beside this file.
#include "../common/op.h"
#include "cpu.h"
#include "gpu.h"

namespace dff {
namespace {

const char kOp[] = "DFFAggregate";

const int kMaxFrames = 1 << 12;

struct Settings {
  int frames;
  bool has_flow;
};

Settings settings(const AttributeMap& map) {
  const Attributes attributes(kOp, map, {"frames", "has_flow"});
  return {attributes.integer("frames", 1, kMaxFrames), attributes.flag("has_flow")};
}

MXReturnValue parse(const AttributeMap& attributes, int* inputs, int* outputs) {
  return guarded([&] {
    *inputs = settings(attributes).has_flow ? 4 : 3;
    *outputs = 1;
  });
}

MXReturnValue infer_shape(const AttributeMap& attributes, Shapes* in, Shapes* out) {
  return guarded([&] {
    const Shape &feature = (*in)[0], &embedding = (*in)[1];
    check_shape(kOp, "feature", feature, {kAny, kAny, kAny, kAny}, "[frames * N, C, H, W]");
    const unsigned frames = settings(attributes).frames;
    if (feature[0] % frames) {
      throw Error(std::string(kOp) + ": input feature has shape " + describe(feature) + ", whose maps are not " +
                  std::to_string(frames) + " frames of as many images");
    }
    const std::string why = "feature " + describe(feature);
    check_shape(kOp, "embedding", embedding, {feature[0], kAny, feature[2], feature[3]}, why);
    check_shape(kOp, "query", (*in)[2], {feature[0] / frames, embedding[1], feature[2], feature[3]},
                why + " with embedding " + describe(embedding));
    if (in->size() > 3) check_shape(kOp, "flow", (*in)[3], {feature[0], 2, feature[2], feature[3]}, why);
    (*out)[0] = {feature[0] / frames, feature[1], feature[2], feature[3]};
  });
}

// `i`: the inputs from feature on.
AggregateShape shape_of(const AttributeMap& attributes, const mxnet::ext::MXTensor* i) {
  const int frames = settings(attributes).frames;
  return {frames, dim(i[0], 0) / frames, dim(i[0], 1), dim(i[1], 1), dim(i[0], 2), dim(i[0], 3)};
}

AggregateInputs inputs_of(const AttributeMap& attributes, const mxnet::ext::MXTensor* i) {
  return {floats(i[0]), floats(i[1]), floats(i[2]), settings(attributes).has_flow ? floats(i[3]) : nullptr};
}

AggregateGradients gradients_of(const Tensors& o) {
  return {writable(o[0]), writable(o[1]), writable(o[2]), o.size() > 3 ? writable(o[3]) : nullptr};
}

MXReturnValue forward_cpu(const AttributeMap& map, Tensors* in, Tensors* out, const OpResource&) {
  return guarded([&] { aggregate_forward_cpu(shape_of(map, in->data()), inputs_of(map, in->data()), writable((*out)[0])); });
}

// Inputs: the output's gradient, the inputs, the output.
MXReturnValue backward_cpu(const AttributeMap& map, Tensors* in, Tensors* out, const OpResource&) {
  return guarded([&] {
    const mxnet::ext::MXTensor* own = in->data() + 1;
    aggregate_backward_cpu(shape_of(map, own), floats((*in)[0]), inputs_of(map, own), gradients_of(*out));
  });
}

MXReturnValue forward_gpu(const AttributeMap& map, Tensors* in, Tensors* out, const OpResource& resource) {
  return guarded([&] {
    const AggregateShape s = shape_of(map, in->data());
    void* workspace = gpu_workspace(kOp, resource, aggregate_workspace(s));
    aggregate_forward_gpu(GpuQueue(resource.get_cuda_stream()), s, inputs_of(map, in->data()), workspace, writable((*out)[0]));
  });
}

MXReturnValue backward_gpu(const AttributeMap& map, Tensors* in, Tensors* out, const OpResource& resource) {
  return guarded([&] {
    const mxnet::ext::MXTensor* own = in->data() + 1;
    const AggregateShape s = shape_of(map, own);
    void* workspace = gpu_workspace(kOp, resource, aggregate_workspace(s));
    aggregate_backward_gpu(GpuQueue(resource.get_cuda_stream()), s, floats((*in)[0]), inputs_of(map, own), workspace,
                           gradients_of(*out));
  });
}

typedef Checked<kOp, parse> Entry;

}  // namespace

REGISTER_OP(DFFAggregate)
    .setParseAttrs(parse)
    .setInferType(Entry::types<infer_float32>)
    .setInferShape(Entry::shapes<infer_shape>)
    .setForward(Entry::forward<forward_cpu>, "cpu")
    .setForward(Entry::forward<forward_gpu>, "gpu")
    .setBackward(Entry::backward<backward_cpu>, "cpu")
    .setBackward(Entry::backward<backward_gpu>, "gpu");

}  // namespace dff
