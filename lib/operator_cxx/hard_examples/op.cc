// Registration of DFFHardExamples(score, deltas, label, target, weight); see README.md beside this file.  It has no gradient.
#include "../common/op.h"
#include "cpu.h"
#include "gpu.h"

namespace dff {
namespace {

const char kOp[] = "DFFHardExamples";

MiningShape settings(const AttributeMap& map) {
  const Attributes a(kOp, map, {"images", "keep"});
  MiningShape s = {};
  s.images = a.integer("images", 1, kMaxRows);
  s.keep = a.integer("keep", 0, kMaxRows);
  return s;
}

MXReturnValue infer_shape(const AttributeMap& map, Shapes* in, Shapes* out) {
  return guarded([&] {
    const unsigned images = settings(map).images;
    const Shape &score = (*in)[0], &deltas = (*in)[1];
    check_shape(kOp, "score", score, {kAny, kAny}, "[images * R, classes]");
    if (score[0] % images) throw Error(std::string(kOp) + ": input score " + describe(score) + " cannot be shared by " +
                                       std::to_string(images) + " images");
    const std::string why = "score " + describe(score);
    check_shape(kOp, "deltas", deltas, {score[0], kAny}, why);
    check_shape(kOp, "label", (*in)[2], {score[0]}, why);
    check_shape(kOp, "target", (*in)[3], deltas, "deltas " + describe(deltas));
    check_shape(kOp, "weight", (*in)[4], deltas, "deltas " + describe(deltas));
    (*out)[0] = (*in)[2];
    (*out)[1] = deltas;
  });
}

MiningShape shape_of(const AttributeMap& map, const Tensors& in) {
  MiningShape s = settings(map);
  s.rois = dim(in[0], 0) / s.images;
  s.classes = dim(in[0], 1);
  s.deltas = dim(in[1], 1);
  return s;
}

MiningInputs inputs_of(const Tensors& in) { return {floats(in[0]), floats(in[1]), floats(in[2]), floats(in[3]), floats(in[4])}; }

MXReturnValue forward_cpu(const AttributeMap& map, Tensors* in, Tensors* out, const OpResource&) {
  return guarded([&] { hard_examples_cpu(shape_of(map, *in), inputs_of(*in), writable((*out)[0]), writable((*out)[1])); });
}

MXReturnValue forward_gpu(const AttributeMap& map, Tensors* in, Tensors* out, const OpResource& resource) {
  return guarded([&] {
    const MiningShape s = shape_of(map, *in);
    void* workspace = gpu_workspace(kOp, resource, hard_examples_workspace(s));
    hard_examples_gpu(GpuQueue(resource.get_cuda_stream()), s, inputs_of(*in), workspace, writable((*out)[0]), writable((*out)[1]));
  });
}

typedef Checked<kOp, parse_fixed<MiningShape, settings, 5, 2>> Entry;

}  // namespace

REGISTER_OP(DFFHardExamples)
    .setParseAttrs(parse_fixed<MiningShape, settings, 5, 2>)
    .setInferType(Entry::types<infer_float32>)
    .setInferShape(Entry::shapes<infer_shape>)
    .setForward(Entry::forward<forward_cpu>, "cpu")
    .setForward(Entry::forward<forward_gpu>, "gpu");

}  // namespace dff
