// Random inputs and the comparison of results, for the tests of the native kernels.
#pragma once
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <limits>
#include <random>
#include <vector>

typedef std::vector<float> Floats;

static std::mt19937 random_bits(1);
const float kInf = std::numeric_limits<float>::infinity(), kNaN = std::numeric_limits<float>::quiet_NaN();
const float kHostile[] = {kNaN, kInf, -kInf, 1e30f, -1e30f, 3e9f, -3e9f, 0.0f, -0.0f, -1.0f, 1e-30f};

inline int pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_bits); }
inline float uniform(float low, float high) { return std::uniform_real_distribution<float>(low, high)(random_bits); }

// `count` numbers; one in `hostile` is taken from kHostile (0: none).
inline Floats numbers(size_t count, float low, float high, int hostile = 0) {
  Floats values(count);
  for (float& v : values) v = hostile && pick(1, hostile) == 1 ? kHostile[pick(0, 10)] : uniform(low, high);
  return values;
}

inline void expect_equal(const char* what, const Floats& a, const Floats& b, float tolerance) {
  for (size_t i = 0; i < a.size(); ++i) {
    const bool same = a[i] == b[i] || (isnan(a[i]) && isnan(b[i])) || fabsf(a[i] - b[i]) <= tolerance * (1 + fabsf(a[i]));
    if (same && a.size() == b.size()) continue;
    printf("%s: %g instead of %g at %zu of %zu\n", what, b[i], a[i], i, a.size());
    exit(1);
  }
}
