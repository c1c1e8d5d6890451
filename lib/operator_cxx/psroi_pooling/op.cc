// Registration of DFFPSROIPooling(data, rois); see README.md beside this file.
#include "../common/op.h"
#include "cpu.h"
#include "gpu.h"

namespace dff {
namespace {

const char kOp[] = "DFFPSROIPooling";

const int kMaxBins = 256;  // along each side of a region

// The attributes; sizes that come from the inputs are 0.
PsroiShape settings(const AttributeMap& map) {
  const Attributes a(kOp, map, {"spatial_scale", "output_dim", "pooled_size", "group_size"});
  PsroiShape s = {};
  s.output_dim = a.integer("output_dim", 1, kMaxChannels);
  s.pooled = a.integer("pooled_size", 1, kMaxBins);
  s.group = a.integer("group_size", 1, kMaxBins);
  s.spatial_scale = a.real("spatial_scale", kTiny, kHuge);
  return s;
}

PsroiShape shape_of(const AttributeMap& map, const mxnet::ext::MXTensor& data, const mxnet::ext::MXTensor& rois) {
  PsroiShape s = settings(map);
  s.images = dim(data, 0);
  s.height = dim(data, 2);
  s.width = dim(data, 3);
  s.rois = dim(rois, 0);
  return s;
}

MXReturnValue infer_shape(const AttributeMap& map, Shapes* in, Shapes* out) {
  return guarded([&] {
    const PsroiShape s = settings(map);
    const unsigned output_dim = s.output_dim, pooled = s.pooled, group = s.group;
    const unsigned channels = checked_product(kOp, "channels of data", {output_dim, group, group});
    check_shape(kOp, "data", (*in)[0], {kAny, channels, kAny, kAny},
                "output_dim " + std::to_string(s.output_dim) + " with group_size " + std::to_string(s.group));
    check_shape(kOp, "rois", (*in)[1], {kAny, 5}, "data " + describe((*in)[0]));
    (*out)[0] = {(*in)[1][0], output_dim, pooled, pooled};
  });
}

MXReturnValue forward_cpu(const AttributeMap& map, Tensors* in, Tensors* out, const OpResource&) {
  return guarded([&] {
    const Tensors& i = *in;
    psroi_forward_cpu(shape_of(map, i[0], i[1]), floats(i[0]), floats(i[1]), writable((*out)[0]));
  });
}

// Inputs: the output's gradient, the inputs, the output.
MXReturnValue backward_cpu(const AttributeMap& map, Tensors* in, Tensors* out, const OpResource&) {
  return guarded([&] {
    const Tensors &i = *in, &o = *out;
    psroi_backward_cpu(shape_of(map, i[1], i[2]), floats(i[0]), floats(i[2]), writable(o[0]));
    std::fill(writable(o[1]), writable(o[1]) + o[1].size(), 0.0f);
  });
}

MXReturnValue forward_gpu(const AttributeMap& map, Tensors* in, Tensors* out, const OpResource& resource) {
  return guarded([&] {
    const Tensors& i = *in;
    psroi_forward_gpu(GpuQueue(resource.get_cuda_stream()), shape_of(map, i[0], i[1]), floats(i[0]), floats(i[1]),
                      writable((*out)[0]));
  });
}

MXReturnValue backward_gpu(const AttributeMap& map, Tensors* in, Tensors* out, const OpResource& resource) {
  return guarded([&] {
    const Tensors &i = *in, &o = *out;
    GpuQueue queue(resource.get_cuda_stream());
    psroi_backward_gpu(queue, shape_of(map, i[1], i[2]), floats(i[0]), floats(i[2]), writable(o[0]));
    queue.zero(writable(o[1]), o[1].size() * sizeof(float));
  });
}

typedef Checked<kOp, parse_fixed<PsroiShape, settings, 2, 1>> Entry;

}  // namespace

REGISTER_OP(DFFPSROIPooling)
    .setParseAttrs(parse_fixed<PsroiShape, settings, 2, 1>)
    .setInferType(Entry::types<infer_float32>)
    .setInferShape(Entry::shapes<infer_shape>)
    .setForward(Entry::forward<forward_cpu>, "cpu")
    .setForward(Entry::forward<forward_gpu>, "gpu")
    .setBackward(Entry::backward<backward_cpu>, "cpu")
    .setBackward(Entry::backward<backward_gpu>, "gpu");

}  // namespace dff
