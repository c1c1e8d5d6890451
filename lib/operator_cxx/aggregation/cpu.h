// Aggregation of frames on the CPU; the maths is in README.md beside this file.
#pragma once
#include "element.h"

namespace dff {

struct AggregateInputs {
  const float *feature, *embedding, *query, *flow;  // flow: null for none
};

struct AggregateGradients {
  float *feature, *embedding, *query, *flow;
};

// feature [M N, C, H, W], embedding [M N, E, H, W], query [N, E, H, W], flow [M N, 2, H, W] -> out [N, C, H, W].
void aggregate_forward_cpu(const AggregateShape& shape, const AggregateInputs& in, float* out);

// Writes the gradients of all inputs.
void aggregate_backward_cpu(const AggregateShape& shape, const float* grad_out, const AggregateInputs& in,
                            const AggregateGradients& grad);

}  // namespace dff
