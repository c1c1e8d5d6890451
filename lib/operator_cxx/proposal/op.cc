// Registration of DFFProposal(cls_prob, bbox_pred, im_info); see README.md beside this file.  It has no gradient.
#include "../common/op.h"
#include "cpu.h"
#include "gpu.h"

namespace dff {
namespace {

const char kOp[] = "DFFProposal";

const int kMaxStride = 1 << 12;  // pixels between cells

// The attributes; sizes that come from the inputs are 0.
ProposalShape settings(const AttributeMap& map) {
  const Attributes a(kOp, map, {"feature_stride", "scales", "ratios", "rpn_pre_nms_top_n", "rpn_post_nms_top_n",
                                "threshold", "rpn_min_size"});
  ProposalShape s = {};
  s.stride = static_cast<float>(a.integer("feature_stride", 1, kMaxStride));
  s.before_nms = a.integer("rpn_pre_nms_top_n", -kMaxRows, kMaxRows);
  s.after_nms = a.integer("rpn_post_nms_top_n", 1, kMaxRows);
  s.threshold = a.real("threshold", 0, kHuge);
  s.min_size = a.real("rpn_min_size", -kHuge, kHuge);
  if (!make_anchors(a.reals("ratios", kTiny, kHuge), a.reals("scales", -kHuge, kHuge), &s)) {
    throw Error(std::string(kOp) + ": scales times ratios give more than " + std::to_string(kMaxAnchors) + " anchors");
  }
  return s;
}

MXReturnValue infer_shape(const AttributeMap& map, Shapes* in, Shapes* out) {
  return guarded([&] {
    const ProposalShape s = settings(map);
    const Shape& cls_prob = (*in)[0];
    const unsigned anchors = s.anchors;
    check_shape(kOp, "cls_prob", cls_prob, {kAny, 2 * anchors, kAny, kAny}, std::to_string(anchors) + " anchors (scales times ratios)");
    const std::string why = "cls_prob " + describe(cls_prob);
    check_shape(kOp, "bbox_pred", (*in)[1], {cls_prob[0], 4 * anchors, cls_prob[2], cls_prob[3]}, why);
    check_shape(kOp, "im_info", (*in)[2], {cls_prob[0], 3}, why);
    (*out)[0] = {checked_product(kOp, "rows of the output", {cls_prob[0], static_cast<unsigned>(s.after_nms)}), 5};
  });
}

ProposalShape shape_of(const AttributeMap& map, const mxnet::ext::MXTensor& cls_prob) {
  ProposalShape s = settings(map);
  s.images = dim(cls_prob, 0);
  s.height = dim(cls_prob, 2);
  s.width = dim(cls_prob, 3);
  return s;
}

MXReturnValue forward_cpu(const AttributeMap& map, Tensors* in, Tensors* out, const OpResource&) {
  return guarded([&] {
    const Tensors& i = *in;
    proposal_cpu(shape_of(map, i[0]), floats(i[0]), floats(i[1]), floats(i[2]), writable((*out)[0]));
  });
}

MXReturnValue forward_gpu(const AttributeMap& map, Tensors* in, Tensors* out, const OpResource& resource) {
  return guarded([&] {
    const Tensors& i = *in;
    const ProposalShape s = shape_of(map, i[0]);
    void* workspace = gpu_workspace(kOp, resource, proposal_workspace(s));
    proposal_gpu(GpuQueue(resource.get_cuda_stream()), s, floats(i[0]), floats(i[1]), floats(i[2]), workspace, writable((*out)[0]));
  });
}

typedef Checked<kOp, parse_fixed<ProposalShape, settings, 3, 1>> Entry;

}  // namespace

REGISTER_OP(DFFProposal)
    .setParseAttrs(parse_fixed<ProposalShape, settings, 3, 1>)
    .setInferType(Entry::types<infer_float32>)
    .setInferShape(Entry::shapes<infer_shape>)
    .setForward(Entry::forward<forward_cpu>, "cpu")
    .setForward(Entry::forward<forward_gpu>, "gpu");

}  // namespace dff
