#include "op.h"

#include <stdlib.h>

#include <algorithm>
#include <mutex>

namespace dff {

Attributes::Attributes(const char* op, const AttributeMap& map, const std::vector<std::string>& known)
    : op_(op), map_(map) {
  for (const auto& entry : map) {
    const bool is_internal = entry.first.compare(0, 2, "__") == 0;
    if (!is_internal && std::find(known.begin(), known.end(), entry.first) == known.end()) {
      std::string list;
      for (const auto& name : known) list += (list.empty() ? "" : ", ") + name;
      throw Error(op_ + ": unknown attribute " + entry.first + "; it has: " + (list.empty() ? "none" : list));
    }
  }
}

const std::string& Attributes::text(const std::string& key) const {
  const auto found = map_.find(key);
  if (found == map_.end()) throw Error(op_ + ": attribute " + key + " is missing");
  return found->second;
}

Error Attributes::wrong(const std::string& key, const std::string& expected) const {
  return Error(op_ + ": attribute " + key + " is '" + text(key) + "', expected " + expected);
}

int Attributes::integer(const std::string& key, int least) const {
  const std::string& value = text(key);
  char* end = nullptr;
  const long number = strtol(value.c_str(), &end, 10);
  if (end == value.c_str() || *end != '\0' || number < least || number > 1 << 30) {
    throw wrong(key, "an integer of at least " + std::to_string(least));
  }
  return static_cast<int>(number);
}

float Attributes::real(const std::string& key) const {
  const std::vector<float> values = reals(key);
  if (values.size() != 1) throw wrong(key, "a number");
  return values[0];
}

std::vector<float> Attributes::reals(const std::string& key) const {
  std::string value = text(key);
  for (char& c : value) {
    if (c == '(' || c == ')' || c == '[' || c == ']' || c == ',') c = ' ';
  }
  std::istringstream stream(value);
  stream.imbue(std::locale::classic());  // a comma as decimal sign in the user's locale must not matter
  std::vector<float> values;
  double number;
  while (stream >> number) values.push_back(static_cast<float>(number));
  if (!stream.eof() || values.empty()) throw wrong(key, "numbers such as (8, 16, 32)");
  return values;
}

std::string describe(const Shape& shape) {
  std::string text = "(";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + ")";
}

void check_shape(const char* op, const char* input, const Shape& shape, const Shape& expected, const std::string& why) {
  bool fits = shape.size() == expected.size();
  for (size_t i = 0; fits && i < shape.size(); ++i) fits = expected[i] == 0 || shape[i] == expected[i];
  if (fits) return;
  std::string wanted = "(";
  for (size_t i = 0; i < expected.size(); ++i) wanted += (i ? ", " : "") + (expected[i] ? std::to_string(expected[i]) : "any");
  // MXNet's interface cannot say "not known yet", so such a shape arrives here without dimensions.
  const std::string has = shape.empty() ? " has a shape that is not known yet" : " has shape " + describe(shape);
  throw Error(std::string(op) + ": input " + input + has + ", but " + why + " needs " + wanted + ")");
}

MXReturnValue infer_float32(const AttributeMap&, std::vector<int>* in_types, std::vector<int>* out_types) {
  return guarded([&] {
    for (size_t i = 0; i < in_types->size(); ++i) {
      int& type = (*in_types)[i];
      if (type == -1) type = mxnet::ext::kFloat32;
      if (type != mxnet::ext::kFloat32) {
        throw Error("input " + std::to_string(i) + " must be float32 (cast it first)");
      }
    }
    std::fill(out_types->begin(), out_types->end(), static_cast<int>(mxnet::ext::kFloat32));
  });
}

void report(const std::string& message) {
  // MXNet prints all messages ever added; one that is rewritten shows what went wrong now and nothing older.
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  static std::stringstream& stream = mxnet::ext::MXerrorMsgs::get()->add("Deep Feature Flow native operators", 1);
  stream.str(message);
}

void* gpu_workspace(const char* op, const OpResource& resource, size_t bytes) {
  if (bytes > 0x7fffffffu) throw Error(std::string(op) + ": needs more than 2 GiB of work space for inputs of this size");
  return resource.alloc_gpu(static_cast<int>(bytes));
}

}  // namespace dff

// MXNet calls this first.  The interface has a version of its own; within 1.9 it is the one compiled against.
mxnet::ext::MXReturnValue initialize(int version) {
  if (version / 100 == DFF_MXNET_VERSION / 100) return mxnet::ext::MX_SUCCESS;
  dff::report("built for MXNet " + std::to_string(DFF_MXNET_VERSION) + ", loaded by MXNet " + std::to_string(version));
  return mxnet::ext::MX_FAIL;
}
