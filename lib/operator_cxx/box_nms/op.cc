// Registration of DFFDetections(rois, cls_prob, bbox_pred, im_info); see README.md beside this file.  It has no gradient.
#include "../common/op.h"
#include "cpu.h"
#include "gpu.h"

namespace dff {
namespace {

const char kOp[] = "DFFDetections";

// The attributes; sizes that come from the inputs are 0.
FrameShape settings(const AttributeMap& map) {
  const Attributes a(kOp, map, {"score_threshold", "nms_threshold", "limit"});
  FrameShape s = {};
  s.limit = a.integer("limit", 1, kMaxRows);
  s.score_threshold = a.real("score_threshold", -kHuge, kHuge);
  s.nms_threshold = a.real("nms_threshold", 0, kHuge);
  return s;
}

MXReturnValue infer_shape(const AttributeMap& map, Shapes* in, Shapes* out) {
  return guarded([&] {
    const unsigned limit = settings(map).limit;
    const Shape& scores = (*in)[1];
    check_shape(kOp, "cls_prob", scores, {kAny, kAny, kAny}, "[N, R, classes]");
    const std::string why = "cls_prob " + describe(scores);
    const bool agnostic = (*in)[2].size() == 3 && (*in)[2][2] == 8;
    const unsigned rows = checked_product(kOp, "rows of rois", {scores[0], scores[1]});
    const unsigned columns = agnostic ? 8 : checked_product(kOp, "columns of bbox_pred", {4, scores[2]});
    check_shape(kOp, "rois", (*in)[0], {rows, 5}, why);
    check_shape(kOp, "bbox_pred", (*in)[2], {scores[0], scores[1], columns}, why);
    check_shape(kOp, "im_info", (*in)[3], {scores[0], 3}, why);
    (*out)[0] = {scores[0], limit, 6};
  });
}

FrameShape shape_of(const AttributeMap& map, const Tensors& in) {
  FrameShape s = settings(map);
  s.images = dim(in[1], 0);
  s.rois = dim(in[1], 1);
  s.classes = dim(in[1], 2);
  s.delta_columns = dim(in[2], 2);
  return s;
}

MXReturnValue forward_cpu(const AttributeMap& map, Tensors* in, Tensors* out, const OpResource&) {
  return guarded([&] {
    const Tensors& i = *in;
    const FrameShape s = shape_of(map, i);
    std::vector<float> corners(static_cast<size_t>(s.rois) * 4);
    for (int image = 0; image < s.images; ++image) {
      const size_t first = static_cast<size_t>(image) * s.rois;
      for (size_t k = 0; k < corners.size(); ++k) corners[k] = floats(i[0])[(first + k / 4) * 5 + 1 + k % 4];
      float* rows = writable((*out)[0]) + static_cast<size_t>(image) * s.limit * 6;
      int row = dff_frame_detections(s.rois, s.classes, s.delta_columns, corners.data(), floats(i[1]) + first * s.classes,
                                     floats(i[2]) + first * s.delta_columns, floats(i[3]) + image * 3, s.score_threshold,
                                     s.nms_threshold, s.limit, rows);
      for (; row < s.limit; ++row) {
        std::fill(rows + row * 6, rows + row * 6 + 6, 0.0f);
        rows[row * 6] = -1.0f;
      }
    }
  });
}

MXReturnValue forward_gpu(const AttributeMap& map, Tensors* in, Tensors* out, const OpResource& resource) {
  return guarded([&] {
    const Tensors& i = *in;
    const FrameShape s = shape_of(map, i);
    void* workspace = gpu_workspace(kOp, resource, detections_workspace(s));
    detections_gpu(GpuQueue(resource.get_cuda_stream()), s, floats(i[0]), floats(i[1]), floats(i[2]), floats(i[3]), workspace,
                   writable((*out)[0]));
  });
}

typedef Checked<kOp, parse_fixed<FrameShape, settings, 4, 1>> Entry;

}  // namespace

REGISTER_OP(DFFDetections)
    .setParseAttrs(parse_fixed<FrameShape, settings, 4, 1>)
    .setInferType(Entry::types<infer_float32>)
    .setInferShape(Entry::shapes<infer_shape>)
    .setForward(Entry::forward<forward_cpu>, "cpu")
    .setForward(Entry::forward<forward_gpu>, "gpu");

}  // namespace dff
