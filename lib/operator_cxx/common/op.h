// What every operator's registration shares: attributes, shape checks with useful messages, errors.
#pragma once
#include <mxnet/lib_api.h>

#include <stdint.h>

#include <initializer_list>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

namespace dff {

typedef std::unordered_map<std::string, std::string> AttributeMap;
typedef std::vector<unsigned int> Shape;
typedef std::vector<Shape> Shapes;
typedef std::vector<int> Types;
typedef std::vector<mxnet::ext::MXTensor> Tensors;
using mxnet::ext::MXReturnValue;
using mxnet::ext::OpResource;

struct Error : std::runtime_error {
  explicit Error(const std::string& text) : std::runtime_error(text) {}
};

// The attributes of a node; every getter throws Error naming the operator, the attribute and what was expected.
// Each is asked for with its range, because a node may come from a file that a stranger wrote.
class Attributes {
 public:
  // `known`: the attributes that the operator has; MXNet's own (__name__) are let through.
  Attributes(const char* op, const AttributeMap& map, const std::vector<std::string>& known);
  int integer(const std::string& key, int least, int most) const;
  bool flag(const std::string& key) const;  // 0 or 1
  float real(const std::string& key, float least, float most) const;
  std::vector<float> reals(const std::string& key, float least, float most) const;  // "(8, 16, 32)", at least one

 private:
  const std::string& text(const std::string& key) const;
  Error wrong(const std::string& key, const std::string& expected) const;
  std::string op_;
  const AttributeMap& map_;
};

// Bounds of attributes' ranges, beyond what any network needs: channels of a map, rows such as
// boxes, and numbers.
const int kMaxChannels = 1 << 16, kMaxRows = 1 << 24;
const float kTiny = 1e-6f, kHuge = 1e6f;

// The longest axis, up to which a float holds every index, and the most elements of a tensor,
// which MXNet and the kernels count with an int.
const uint64_t kMaxAxis = 1u << 24, kMaxElements = 0x7fffffffu;

// The product of sizes. Throws Error("<op>: <what> ...") where it is more than `most`.
unsigned checked_product(const char* op, const std::string& what,
                         std::initializer_list<uint64_t> factors, uint64_t most = kMaxAxis);

std::string describe(const Shape& shape);

// In an expected shape: any size. No size that is computed can be it, unlike 0, which a product
// that wraps around may become.
const unsigned kAny = 0xffffffffu;

// Throws Error("<op>: input <name> has shape <shape>, but <why> ...") unless it equals `expected`.
void check_shape(const char* op, const char* input, const Shape& shape, const Shape& expected, const std::string& why);

// Every operator here takes and gives float32.
MXReturnValue infer_float32(const AttributeMap& attributes, Types* in_types, Types* out_types);

// Hands a message to MXNet, which raises it as MXNetError.
void report(const std::string& message);

// Runs `body` and turns exceptions, which must not cross into MXNet, into reported failures.
template <typename Body>
MXReturnValue guarded(Body body) {
  try {
    body();
    return mxnet::ext::MX_SUCCESS;
  } catch (const std::exception& error) {
    report(error.what());
    return mxnet::ext::MX_FAIL;
  }
}

// ParseAttrs of an operator with fixed numbers of inputs and outputs: `settings` throws where an attribute is wrong.
template <typename Settings, Settings (*settings)(const AttributeMap&), int kInputs, int kOutputs>
MXReturnValue parse_fixed(const AttributeMap& attributes, int* inputs, int* outputs) {
  return guarded([&] {
    settings(attributes);
    *inputs = kInputs;
    *outputs = kOutputs;
  });
}

// Throws Error where a tensor is larger than MXNet and the kernels can count. Shapes not known yet
// pass.
void check_sizes(const char* op, const char* kind, const Shapes& shapes);

// Throws Error unless a node has as many inputs and outputs as it needs.
void check_counts(const char* op, size_t inputs, size_t outputs, int needed_inputs,
                  int needed_outputs);

// The entries of an operator, behind what all need: MXNet calls them with as many inputs as a node
// has in its file, and with sizes that have wrapped around, whatever `parse` says. `op` is the
// operator's name.
template <const char* op, MXReturnValue (*parse)(const AttributeMap&, int*, int*)>
struct Checked {
  template <MXReturnValue (*body)(const AttributeMap&, Types*, Types*)>
  static MXReturnValue types(const AttributeMap& map, Types* in, Types* out) {
    return counted(map, in->size(), out->size()) ? body(map, in, out) : mxnet::ext::MX_FAIL;
  }

  template <MXReturnValue (*body)(const AttributeMap&, Shapes*, Shapes*)>
  static MXReturnValue shapes(const AttributeMap& map, Shapes* in, Shapes* out) {
    const bool takes = counted(map, in->size(), out->size()) &&
                       guarded([&] { check_sizes(op, "input", *in); });
    const bool makes = takes && body(map, in, out);
    return makes ? guarded([&] { check_sizes(op, "output", *out); }) : mxnet::ext::MX_FAIL;
  }

  template <MXReturnValue (*body)(const AttributeMap&, Tensors*, Tensors*, const OpResource&)>
  static MXReturnValue forward(const AttributeMap& map, Tensors* in, Tensors* out,
                               const OpResource& resource) {
    const bool fits = counted(map, in->size(), out->size());
    return fits ? body(map, in, out, resource) : mxnet::ext::MX_FAIL;
  }

  // Inputs: the outputs' gradients, the inputs, the outputs; outputs: the inputs' gradients.
  template <MXReturnValue (*body)(const AttributeMap&, Tensors*, Tensors*, const OpResource&)>
  static MXReturnValue backward(const AttributeMap& map, Tensors* in, Tensors* out,
                                const OpResource& resource) {
    const size_t inputs = out->size(), outputs = in->size() < inputs ? 0 : (in->size() - inputs) / 2;
    return counted(map, inputs, outputs) ? body(map, in, out, resource) : mxnet::ext::MX_FAIL;
  }

 private:
  static bool counted(const AttributeMap& map, size_t inputs, size_t outputs) {
    int needed_inputs = 0, needed_outputs = 0;
    return parse(map, &needed_inputs, &needed_outputs) &&
           guarded([&] { check_counts(op, inputs, outputs, needed_inputs, needed_outputs); });
  }
};

inline const float* floats(const mxnet::ext::MXTensor& tensor) { return static_cast<const float*>(tensor.data_ptr); }
inline float* writable(const mxnet::ext::MXTensor& tensor) { return static_cast<float*>(tensor.data_ptr); }
// The work space of a GPU operator. One request a call: MXNet would return the same memory for a second.
void* gpu_workspace(const char* op, const OpResource& resource, size_t bytes);

inline int dim(const mxnet::ext::MXTensor& tensor, int axis) { return static_cast<int>(tensor.shape[axis]); }

}  // namespace dff
