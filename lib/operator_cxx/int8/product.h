// Products of bytes: a tile of places times a panel of filters.
#pragma once
#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__) && ((defined(__clang__) && __clang_major__ >= 7) || (!defined(__clang__) && defined(__GNUC__) && __GNUC__ >= 8))
#define DFF_VNNI 1  // the compiler knows the instructions
#endif

namespace dff {

const int kInt8Rows = 12;   // places of a tile at most
const int kInt8Panel = 32;  // filters of a panel
const int kInt8Group = 4;   // channels that one instruction multiplies and adds

// What the places of a tile read, and what they are multiplied with.
struct Int8Tile {
  const uint8_t* in;    // of the first place
  size_t step;          // bytes from one place to the next
  const size_t* taps;   // where the runs of a window begin, from its first byte
  int tap_count;
  int run;              // bytes of a run, a multiple of kInt8Group
  const int8_t* weight;  // [tap_count][run / kInt8Group][kInt8Panel][kInt8Group]
  int filters;          // of the panel; the weights of others are 0
};

// out [rows][kInt8Panel] = sums of the products, exact, of 1 <= rows <= kInt8Rows.
void int8_product(const Int8Tile& tile, int rows, int32_t* out);

// The same on any processor.
void int8_product_plain(const Int8Tile& tile, int rows, int32_t* out);

// What becomes of sums: value = sum * scale + shift (+ (other - other_zero) * other_scale), times slope where it is
// not above 0; and of that the byte value + zero.
struct Int8Tail {
  const float *scale, *shift;  // [kInt8Panel]
  float slope, other_scale, other_zero, zero;
};

// Of the sums of one place, all [kInt8Panel]: bytes, or values where bytes is null; other may be null.
void int8_tail(const Int8Tail& tail, const int32_t* sums, const uint8_t* other, uint8_t* bytes, float* values);
void int8_tail_plain(const Int8Tail& tail, const int32_t* sums, const uint8_t* other, uint8_t* bytes, float* values);

}  // namespace dff

// Whether this processor has instructions for it, 1 or 0; where not, the products are right and slow.
extern "C" int dff_int8_is_fast();
