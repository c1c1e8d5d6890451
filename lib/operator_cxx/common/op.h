// What every operator's registration shares: attributes, shape checks with useful messages, errors.
#pragma once
#include <mxnet/lib_api.h>

#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

namespace dff {

typedef std::unordered_map<std::string, std::string> AttributeMap;
typedef std::vector<unsigned int> Shape;
typedef std::vector<Shape> Shapes;
typedef std::vector<mxnet::ext::MXTensor> Tensors;
using mxnet::ext::MXReturnValue;
using mxnet::ext::OpResource;

struct Error : std::runtime_error {
  explicit Error(const std::string& text) : std::runtime_error(text) {}
};

// The attributes of a node; every getter throws Error naming the operator, the attribute and what was expected.
class Attributes {
 public:
  // `known`: the attributes that the operator has; MXNet's own (__name__) are let through.
  Attributes(const char* op, const AttributeMap& map, const std::vector<std::string>& known);
  int integer(const std::string& key, int least) const;
  float real(const std::string& key) const;
  std::vector<float> reals(const std::string& key) const;  // "(8, 16, 32)", at least one

 private:
  const std::string& text(const std::string& key) const;
  Error wrong(const std::string& key, const std::string& expected) const;
  std::string op_;
  const AttributeMap& map_;
};

std::string describe(const Shape& shape);

// Throws Error("<op>: input <name> has shape <shape>, but <why> ...") unless it equals `expected`; 0 in `expected` means any.
void check_shape(const char* op, const char* input, const Shape& shape, const Shape& expected, const std::string& why);

// Every operator here takes and gives float32.
MXReturnValue infer_float32(const AttributeMap& attributes, std::vector<int>* in_types, std::vector<int>* out_types);

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

inline const float* floats(const mxnet::ext::MXTensor& tensor) { return static_cast<const float*>(tensor.data_ptr); }
inline float* writable(const mxnet::ext::MXTensor& tensor) { return static_cast<float*>(tensor.data_ptr); }
// The work space of a GPU operator. One request a call: MXNet would return the same memory for a second.
void* gpu_workspace(const char* op, const OpResource& resource, size_t bytes);

inline int dim(const mxnet::ext::MXTensor& tensor, int axis) { return static_cast<int>(tensor.shape[axis]); }

}  // namespace dff
