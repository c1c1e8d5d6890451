// A step of SGD with momentum on one parameter; see README.md beside this file.
#pragma once
#include <stddef.h>

extern "C" {

// Changes weight [size] and state [size], the momentum. clip: the largest magnitude of rescale * gradient; infinity for no limit.
void dff_sgd_momentum(size_t size, const float* gradient, float rate, float decay, float momentum, float rescale, float clip,
                      float* weight, float* state);
}
