// Numbers as bytes.
#pragma once
#include <stdint.h>
#include <string.h>

#include "../common/cpu.h"

namespace dff {

// The byte of a value within 0 .. 255, rounded half to even.
DFF_INLINE uint32_t rounded_byte(float value) {
  value += 12582912.0f;  // 1.5 * 2^23: added to a small number it leaves the whole one in the lowest bits
  uint32_t bits;
  memcpy(&bits, &value, sizeof(bits));
  return bits & 255u;
}

// The same of any value: the nearest byte; 0 of what is no number.
DFF_INLINE uint32_t nearest_byte(float value) {
  value = value > 0.0f ? value : 0.0f;
  return rounded_byte(value < 255.0f ? value : 255.0f);
}

}  // namespace dff
