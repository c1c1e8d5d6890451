// Registration of DFFClassMap(score, rows, columns); see README.md beside this file.  It has no gradient.
#include "../common/op.h"
#include "cpu.h"
#include "gpu.h"

namespace dff {
namespace {

const char kOp[] = "DFFClassMap";

struct NoSettings {};

NoSettings settings(const AttributeMap& map) {
  Attributes(kOp, map, {});
  return NoSettings();
}

MXReturnValue infer_type(const AttributeMap& map, std::vector<int>* in_types, std::vector<int>* out_types) {
  const MXReturnValue result = infer_float32(map, in_types, out_types);
  (*out_types)[0] = mxnet::ext::kUint8;
  return result;
}

MXReturnValue infer_shape(const AttributeMap&, Shapes* in, Shapes* out) {
  return guarded([&] {
    const Shape &score = (*in)[0], &rows = (*in)[1], &columns = (*in)[2];
    check_shape(kOp, "score", score, {1, kAny, kAny, kAny}, "[1, C, h, w]");
    if (score[1] > 255) throw Error(std::string(kOp) + ": input score " + describe(score) + " has more than 255 classes");
    check_shape(kOp, "rows", rows, {kAny}, "[H]");
    check_shape(kOp, "columns", columns, {kAny}, "[W]");
    (*out)[0] = {1, rows[0], columns[0]};
  });
}

ClassMapShape shape_of(const Tensors& in) { return {dim(in[0], 1), dim(in[0], 2), dim(in[0], 3), dim(in[1], 0), dim(in[2], 0)}; }

unsigned char* bytes(const mxnet::ext::MXTensor& tensor) { return static_cast<unsigned char*>(tensor.data_ptr); }

MXReturnValue forward_cpu(const AttributeMap&, Tensors* in, Tensors* out, const OpResource&) {
  const Tensors& i = *in;
  return guarded([&] { class_map_cpu(shape_of(i), floats(i[0]), floats(i[1]), floats(i[2]), bytes((*out)[0])); });
}

MXReturnValue forward_gpu(const AttributeMap&, Tensors* in, Tensors* out, const OpResource& resource) {
  const Tensors& i = *in;
  return guarded([&] {
    class_map_gpu(GpuQueue(resource.get_cuda_stream()), shape_of(i), floats(i[0]), floats(i[1]), floats(i[2]), bytes((*out)[0]));
  });
}

typedef Checked<kOp, parse_fixed<NoSettings, settings, 3, 1>> Entry;

}  // namespace

REGISTER_OP(DFFClassMap)
    .setParseAttrs(parse_fixed<NoSettings, settings, 3, 1>)
    .setInferType(Entry::types<infer_type>)
    .setInferShape(Entry::shapes<infer_shape>)
    .setForward(Entry::forward<forward_cpu>, "cpu")
    .setForward(Entry::forward<forward_gpu>, "gpu");

}  // namespace dff
