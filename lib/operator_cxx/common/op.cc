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

int Attributes::integer(const std::string& key, int least, int most) const {
  const std::string& value = text(key);
  char* end = nullptr;
  // Of what no long holds it makes the nearest one, which is out of range too.
  const long number = strtol(value.c_str(), &end, 10);
  if (end == value.c_str() || *end != '\0' || number < least || number > most) {
    throw wrong(key, "an integer from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return static_cast<int>(number);
}

bool Attributes::flag(const std::string& key) const { return integer(key, 0, 1) != 0; }

float Attributes::real(const std::string& key, float least, float most) const {
  const std::vector<float> values = reals(key, least, most);
  if (values.size() != 1) throw wrong(key, "a number");
  return values[0];
}

std::vector<float> Attributes::reals(const std::string& key, float least, float most) const {
  std::string value = text(key);
  for (char& c : value) {
    if (c == '(' || c == ')' || c == '[' || c == ']' || c == ',') c = ' ';
  }
  std::istringstream stream(value);
  stream.imbue(std::locale::classic());  // a comma as decimal sign in the user's locale must not matter
  std::vector<float> values;
  double number;
  bool within = true;
  while (stream >> number) {
    within = within && number >= least && number <= most;
    if (within) values.push_back(static_cast<float>(number));
  }
  if (!stream.eof() || values.empty() || !within) {
    std::ostringstream range;
    range.imbue(std::locale::classic());
    range << "numbers such as (8, 16, 32), from " << least << " to " << most;
    throw wrong(key, range.str());
  }
  return values;
}

unsigned checked_product(const char* op, const std::string& what,
                         std::initializer_list<uint64_t> factors, uint64_t most) {
  uint64_t product = 1;
  for (const uint64_t factor : factors) {
    // Neither is above `most`, of 32 bits, when they are multiplied: nothing can wrap.
    if (factor <= most) product *= factor;
    if (factor > most || product > most) {
      throw Error(std::string(op) + ": " + what + " would be more than " + std::to_string(most));
    }
  }
  return static_cast<unsigned>(product);
}

std::string describe(const Shape& shape) {
  std::string text = "(";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + ")";
}

void check_shape(const char* op, const char* input, const Shape& shape, const Shape& expected, const std::string& why) {
  bool fits = shape.size() == expected.size();
  for (size_t i = 0; fits && i < shape.size(); ++i) fits = expected[i] == kAny || shape[i] == expected[i];
  if (fits) return;
  std::string wanted = "(";
  for (size_t i = 0; i < expected.size(); ++i) wanted += (i ? ", " : "") + (expected[i] != kAny ? std::to_string(expected[i]) : "any");
  // MXNet's interface cannot say "not known yet", so such a shape arrives here without dimensions.
  const std::string has = shape.empty() ? " has a shape that is not known yet" : " has shape " + describe(shape);
  throw Error(std::string(op) + ": input " + input + has + ", but " + why + " needs " + wanted + ")");
}

void check_sizes(const char* op, const char* kind, const Shapes& shapes) {
  for (const Shape& shape : shapes) {
    // 0 or the largest number stands for an axis that MXNet does not know yet: no kernel can take it.
    uint64_t elements = 1;
    for (const unsigned axis : shape) {
      if (axis == 0 || axis > kMaxAxis) {
        throw Error(std::string(op) + ": an " + kind + " of shape " + describe(shape) +
                    "; every axis must be known, from 1 to " + std::to_string(kMaxAxis));
      }
      const std::string what = std::string("elements of an ") + kind + " of shape " + describe(shape);
      elements = checked_product(op, what, {elements, axis}, kMaxElements);
    }
  }
}

void check_counts(const char* op, size_t inputs, size_t outputs, int needed_inputs,
                  int needed_outputs) {
  const size_t in = needed_inputs, out = needed_outputs;
  if (inputs == in && outputs == out) return;
  throw Error(std::string(op) + " has " + std::to_string(inputs) + " inputs and " +
              std::to_string(outputs) + " outputs, but needs " + std::to_string(in) + " and " +
              std::to_string(out));
}

MXReturnValue infer_float32(const AttributeMap&, Types* in_types, Types* out_types) {
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
