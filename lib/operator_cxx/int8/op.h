// What the registrations of the DFFInt8... operators share.
#pragma once
#include <string>
#include <vector>

#include "../common/op.h"
#include "cpu.h"
#include "product.h"

namespace dff {

using mxnet::ext::MXTensor;

const int kMaxWindow = 256;
const unsigned kMaxDepth = 1 << 16;  // products of bytes that a sum of 32 bits holds
const float kLargestScale = 1e30f;  // of one scale over another; lib/graph/int8_weights.py keeps within it

inline const uint8_t* bytes(const MXTensor& tensor) { return static_cast<const uint8_t*>(tensor.data_ptr); }
inline uint8_t* writable_bytes(const MXTensor& tensor) { return static_cast<uint8_t*>(tensor.data_ptr); }
inline Int8Map map_of(const MXTensor& t) { return {dim(t, 0), dim(t, 1), dim(t, 2), dim(t, 3)}; }
inline unsigned up(unsigned number, unsigned multiple) { return (number + multiple - 1) / multiple * multiple; }

inline void check_map(const char* op, const char* name, const Shape& shape) {
  check_shape(op, name, shape, {kAny, kAny, kAny, kAny}, "[N, H, W, C]");
  if (shape[3] % kInt8Group) throw Error(std::string(op) + ": input " + name + " " + describe(shape) + " has channels that are no multiple of 4");
}

// Sets the types of all tensors, and refuses those that differ.
inline void set_types(const char* op, const std::vector<int>& wanted, Types* types) {
  for (size_t i = 0; i < types->size(); ++i) {
    const int type = wanted[i < wanted.size() ? i : wanted.size() - 1];
    if ((*types)[i] == -1) (*types)[i] = type;
    if ((*types)[i] != type) throw Error(std::string(op) + ": input " + std::to_string(i) + " is of a wrong type");
  }
}

inline int extent(int kernel, int dilation) { return (kernel - 1) * dilation + 1; }

inline void window_settings(const char* op, const Attributes& a, Int8Window* w) {
  w->kernel_h = a.integer("kernel_h", 1, kMaxWindow);
  w->kernel_w = a.integer("kernel_w", 1, kMaxWindow);
  w->stride = a.integer("stride", 1, kMaxWindow);
  w->pad_h = a.integer("pad_h", 0, kMaxWindow);
  w->pad_w = a.integer("pad_w", 0, kMaxWindow);
  if (w->dilation == 0) w->dilation = a.integer("dilate", 1, kMaxWindow);
  if (w->pad_h >= extent(w->kernel_h, w->dilation) || w->pad_w >= extent(w->kernel_w, w->dilation)) {
    throw Error(std::string(op) + ": the padding must be smaller than the window");
  }
}

inline unsigned cells(const char* op, unsigned size, int pad, int extent, int stride) {
  const int64_t free = static_cast<int64_t>(size) + 2 * pad - extent;
  if (free < 0) throw Error(std::string(op) + ": the window is larger than the map of " + std::to_string(size) + " cells");
  return static_cast<unsigned>(free / stride + 1);
}

}  // namespace dff
