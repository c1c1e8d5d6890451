// A step of SGD with momentum on all parameters; see README.md beside this file.
#pragma once
#include <stddef.h>

extern "C" {

// Changes the `count` arrays weights[i] and states[i], the momentum, of sizes[i] numbers each, by gradients[i].
// clip: the largest magnitude of rescale * gradient; infinity for no limit.
void dff_sgd_momentum(size_t count, const size_t* sizes, const float* const* gradients, const float* rates, const float* decays,
                      float momentum, float rescale, float clip, float* const* weights, float* const* states);
}
