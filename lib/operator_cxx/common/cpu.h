// What the CPU kernels share: one binary for every x86-64, scratch memory, and channels as vector lanes.
#pragma once
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <new>
#include <vector>

// The functions so marked exist several times in the library and the loader picks the best for this processor.
// OpenMP bodies are outlined before cloning, so a parallel loop calls a marked function instead of being in one.
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__) && !defined(DFF_NO_CLONES)
#define DFF_CLONES __attribute__((target_clones("avx512f", "avx2", "default"), noinline))
#else
#define DFF_CLONES __attribute__((noinline))
#endif
#define DFF_INLINE inline __attribute__((always_inline))

namespace dff {

// Memory that grows and starts at a cache line, so that a vector of 64 bytes lies in one. From two megabytes on it is in
// large pages where Linux has them to give: Winograd's algorithm writes to 36 places at once, each in a page of its own.
class Buffer {
 public:
  Buffer() : memory_(nullptr), size_(0) {}
  Buffer(Buffer&& other) noexcept : memory_(other.memory_), size_(other.size_) { other.memory_ = nullptr; }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { free(memory_); }

  // What was in it is not kept. Throws bad_alloc.
  void* at_least(size_t bytes) {
    if (bytes > size_ || !memory_) {
      const size_t page = 2 << 20, line = bytes < page ? 64 : page, whole = (bytes / line + 1) * line;
      free(memory_);
      size_ = 0;
      if (posix_memalign(&memory_, line, whole)) {
        memory_ = nullptr;
        throw std::bad_alloc();
      }
#ifdef MADV_HUGEPAGE
      if (line == page) madvise(memory_, whole, MADV_HUGEPAGE);
#endif
      size_ = whole;
    }
    return memory_;
  }

 private:
  void* memory_;
  size_t size_;
};

// Memory of this thread that grows and is kept: fresh megabytes on every call would cost page faults.
// `slot` tells buffers apart that are in use at the same time; what was in a buffer is not kept.
template <typename T>
T* scratch(int slot, size_t count) {
  static thread_local std::vector<Buffer> buffers;
  if (buffers.size() <= static_cast<size_t>(slot)) buffers.resize(slot + 1);
  return static_cast<T*>(buffers[slot].at_least(count * sizeof(T)));
}

// Channels are handled eight at a time as the lanes of a vector: [8][n] in the tensor, [n][8] in scratch memory.
const int kLanes = 8;
typedef float Four __attribute__((vector_size(16)));

DFF_INLINE Four load_four(const float* p) {
  Four v;
  memcpy(&v, p, sizeof(v));
  return v;
}
DFF_INLINE void store_four(float* p, const Four& v) { memcpy(p, &v, sizeof(v)); }

// Eight lanes as one value; a processor without such registers takes them in halves.
typedef float Eight __attribute__((vector_size(32)));

DFF_INLINE Eight load_eight(const float* p) {
  Eight v;
  memcpy(&v, p, sizeof(v));
  return v;
}
DFF_INLINE void store_eight(float* p, const Eight& v) { memcpy(p, &v, sizeof(v)); }

DFF_INLINE void transpose_four(Four* r) {
#if defined(__clang__)
#define DFF_SHUFFLE(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
  typedef int Mask __attribute__((vector_size(16)));
#define DFF_SHUFFLE(a, b, i, j, k, l) __builtin_shuffle(a, b, Mask{i, j, k, l})
#endif
  const Four a = DFF_SHUFFLE(r[0], r[1], 0, 4, 1, 5), b = DFF_SHUFFLE(r[0], r[1], 2, 6, 3, 7);
  const Four c = DFF_SHUFFLE(r[2], r[3], 0, 4, 1, 5), d = DFF_SHUFFLE(r[2], r[3], 2, 6, 3, 7);
  r[0] = DFF_SHUFFLE(a, c, 0, 1, 4, 5);
  r[1] = DFF_SHUFFLE(a, c, 2, 3, 6, 7);
  r[2] = DFF_SHUFFLE(b, d, 0, 1, 4, 5);
  r[3] = DFF_SHUFFLE(b, d, 2, 3, 6, 7);
#undef DFF_SHUFFLE
}

// to[i][lane] = from[lane][i] for i < count, kWidth lanes; those from `lanes` on become 0.  `stride`: from one channel to the next.
template <int kWidth = kLanes>
DFF_INLINE void load_lanes(const float* from, size_t stride, int lanes, int count, float* to) {
  int i = 0;
  if (lanes == kWidth) {
    for (; i + 4 <= count; i += 4) {
      for (int part = 0; part < kWidth; part += 4) {
        Four rows[4];
        for (int k = 0; k < 4; ++k) rows[k] = load_four(from + (part + k) * stride + i);
        transpose_four(rows);
        for (int k = 0; k < 4; ++k) store_four(to + (i + k) * kWidth + part, rows[k]);
      }
    }
  }
  for (; i < count; ++i) {
    for (int lane = 0; lane < kWidth; ++lane) to[i * kWidth + lane] = lane < lanes ? from[lane * stride + i] : 0.0f;
  }
}

// to[lane][i] = from[i][lane] for i < count and lane < lanes.
DFF_INLINE void store_lanes(const float* from, size_t stride, int lanes, int count, float* to) {
  int i = 0;
  if (lanes == kLanes) {
    for (; i + 4 <= count; i += 4) {
      for (int half = 0; half < kLanes; half += 4) {
        Four rows[4];
        for (int k = 0; k < 4; ++k) rows[k] = load_four(from + (i + k) * kLanes + half);
        transpose_four(rows);
        for (int k = 0; k < 4; ++k) store_four(to + (half + k) * stride + i, rows[k]);
      }
    }
  }
  for (; i < count; ++i) {
    for (int lane = 0; lane < lanes; ++lane) to[lane * stride + i] = from[i * kLanes + lane];
  }
}

}  // namespace dff
