// Registration of DFFRCNNTargets(rois, gt_boxes[, chance]); see README.md beside this file.  It has no gradient.
#include "../common/op.h"
#include "cpu.h"
#include "gpu.h"

namespace dff {
namespace {

const char kOp[] = "DFFRCNNTargets";

void copy_four(const Attributes& a, const char* key, float* to) {
  const std::vector<float> values = a.reals(key, -kHuge, kHuge);
  if (values.size() != 4) throw Error(std::string(kOp) + ": attribute " + key + " must be four numbers");
  std::copy(values.begin(), values.end(), to);
}

// The attributes; sizes that come from the inputs are 0.  kept is 0 where every candidate is.
TargetShape settings(const AttributeMap& map) {
  const Attributes a(kOp, map, {"images", "kept", "foreground_limit", "sets", "agnostic", "foreground", "background_high",
                                "background_low", "means", "stds", "weights"});
  TargetShape s = {};
  s.images = a.integer("images", 1, kMaxRows);
  s.kept = a.integer("kept", 0, kMaxRows);
  s.foreground_limit = s.kept ? a.integer("foreground_limit", 0, kMaxRows) : -1;
  s.sets = a.integer("sets", 2, kMaxChannels);
  s.agnostic = a.flag("agnostic");
  s.foreground = a.real("foreground", -kHuge, kHuge);
  s.background_high = a.real("background_high", -kHuge, kHuge);
  s.background_low = a.real("background_low", -kHuge, kHuge);
  copy_four(a, "means", s.mean);
  copy_four(a, "stds", s.std);
  copy_four(a, "weights", s.weight);
  return s;
}

MXReturnValue parse(const AttributeMap& map, int* inputs, int* outputs) {
  return guarded([&] {
    *inputs = settings(map).kept ? 3 : 2;  // only a sample needs chance
    *outputs = 4;
  });
}

MXReturnValue infer_shape(const AttributeMap& map, Shapes* in, Shapes* out) {
  return guarded([&] {
    const TargetShape s = settings(map);
    const unsigned images = s.images;
    const Shape &rois = (*in)[0], &truths = (*in)[1];
    check_shape(kOp, "rois", rois, {kAny, 5}, "[images * P, 5]");
    if (rois[0] % images) throw Error(std::string(kOp) + ": input rois " + describe(rois) + " cannot be shared by " +
                                      std::to_string(images) + " images");
    check_shape(kOp, "gt_boxes", truths, {images, kAny, 5}, "rois " + describe(rois) + " of " + std::to_string(images) + " images");
    const unsigned candidates = rois[0] / images + truths[1], kept = s.kept ? s.kept : candidates;
    if (in->size() > 2) check_shape(kOp, "chance", (*in)[2], {images, candidates}, "rois " + describe(rois));
    if (kept > candidates) throw Error(std::string(kOp) + ": " + std::to_string(kept) + " of " + std::to_string(candidates) + " regions");
    const unsigned rows = checked_product(kOp, "rows of the output", {images, kept}), columns = 4 * s.sets;
    (*out)[0] = {rows, 5};
    (*out)[1] = {rows};
    (*out)[2] = {rows, columns};
    (*out)[3] = {rows, columns};
  });
}

TargetShape shape_of(const AttributeMap& map, const Tensors& in) {
  TargetShape s = settings(map);
  s.proposals = dim(in[0], 0) / s.images;
  s.boxes = dim(in[1], 1);
  if (!s.kept) s.kept = s.candidates();
  return s;
}

TargetRows rows_of(const Tensors& out) { return {writable(out[0]), writable(out[1]), writable(out[2]), writable(out[3])}; }

MXReturnValue forward_cpu(const AttributeMap& map, Tensors* in, Tensors* out, const OpResource&) {
  const Tensors& i = *in;
  return guarded([&] {
    rcnn_targets_cpu(shape_of(map, i), floats(i[0]), floats(i[1]), i.size() > 2 ? floats(i[2]) : nullptr, rows_of(*out));
  });
}

MXReturnValue forward_gpu(const AttributeMap& map, Tensors* in, Tensors* out, const OpResource& resource) {
  const Tensors& i = *in;
  return guarded([&] {
    const TargetShape s = shape_of(map, i);
    void* workspace = gpu_workspace(kOp, resource, rcnn_targets_workspace(s));
    rcnn_targets_gpu(GpuQueue(resource.get_cuda_stream()), s, floats(i[0]), floats(i[1]), i.size() > 2 ? floats(i[2]) : nullptr,
                     workspace, rows_of(*out));
  });
}

typedef Checked<kOp, parse> Entry;

}  // namespace

REGISTER_OP(DFFRCNNTargets)
    .setParseAttrs(parse)
    .setInferType(Entry::types<infer_float32>)
    .setInferShape(Entry::shapes<infer_shape>)
    .setForward(Entry::forward<forward_cpu>, "cpu")
    .setForward(Entry::forward<forward_gpu>, "gpu");

}  // namespace dff
