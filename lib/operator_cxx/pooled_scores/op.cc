// Registration of DFFPooledScores(data, rois, weight, bias); see README.md beside this file.
#include "../common/op.h"
#include "cpu.h"
#include "gpu.h"

namespace dff {
namespace {

const char kOp[] = "DFFPooledScores";

const int kMaxBins = 256;  // along each side of a region

// The attributes; sizes that come from the inputs are 0.
PooledScoresShape settings(const AttributeMap& map) {
  const Attributes a(kOp, map, {"spatial_scale", "outputs", "pooled_size", "first_channel", "channels"});
  PooledScoresShape s = {};
  s.first = a.integer("first_channel", 0, kMaxChannels);
  s.channels = a.integer("channels", 1, kMaxChannels);
  s.outputs = a.integer("outputs", 1, kMaxChannels);
  s.pooled = a.integer("pooled_size", 1, kMaxBins);
  s.spatial_scale = a.real("spatial_scale", kTiny, kHuge);
  return s;
}

PooledScoresShape shape_of(const AttributeMap& map, const Tensors& in) {
  PooledScoresShape s = settings(map);
  s.images = dim(in[0], 0);
  s.all_channels = dim(in[0], 1);
  s.height = dim(in[0], 2);
  s.width = dim(in[0], 3);
  s.rois = dim(in[1], 0);
  return s;
}

MXReturnValue infer_shape(const AttributeMap& map, Shapes* in, Shapes* out) {
  return guarded([&] {
    const PooledScoresShape s = settings(map);
    const unsigned chunks = s.chunks(), panels = s.panels(), depth = s.depth(), bins = s.bins(), outputs = s.outputs;
    const Shape& data = (*in)[0];
    check_shape(kOp, "data", data, {kAny, kAny, kAny, kAny}, "pooling");
    const std::string why = std::to_string(s.channels) + " channels from " + std::to_string(s.first) + " on, of data " + describe(data);
    if (data[1] < static_cast<unsigned>(s.first + s.channels)) throw Error(std::string(kOp) + ": there are no " + why);
    check_shape(kOp, "rois", (*in)[1], {kAny, 5}, why);
    check_shape(kOp, "weight", (*in)[2], {chunks, panels, depth, kScorePanel}, why);
    check_shape(kOp, "bias", (*in)[3], {bins, outputs}, why);
    (*out)[0] = {(*in)[1][0], outputs};
  });
}

MXReturnValue forward_cpu(const AttributeMap& map, Tensors* in, Tensors* out, const OpResource&) {
  return guarded([&] {
    const Tensors& i = *in;
    pooled_scores_cpu(shape_of(map, i), floats(i[0]), floats(i[1]), floats(i[2]), floats(i[3]), writable((*out)[0]));
  });
}

MXReturnValue forward_gpu(const AttributeMap& map, Tensors* in, Tensors* out, const OpResource& resource) {
  return guarded([&] {
    const Tensors& i = *in;
    pooled_scores_gpu(GpuQueue(resource.get_cuda_stream()), shape_of(map, i), floats(i[0]), floats(i[1]), floats(i[2]),
                      floats(i[3]), writable((*out)[0]));
  });
}

typedef Checked<kOp, parse_fixed<PooledScoresShape, settings, 4, 1>> Entry;

}  // namespace

REGISTER_OP(DFFPooledScores)
    .setParseAttrs(parse_fixed<PooledScoresShape, settings, 4, 1>)
    .setInferType(Entry::types<infer_float32>)
    .setInferShape(Entry::shapes<infer_shape>)
    .setForward(Entry::forward<forward_cpu>, "cpu")
    .setForward(Entry::forward<forward_gpu>, "gpu");

}  // namespace dff
