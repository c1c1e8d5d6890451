// What is done with maps of bytes beside the layers that multiply them; the maths is in README.md beside this file.
#pragma once
#include "../correlation/element.h"
#include "../flow_warp/element.h"
#include "../pooled_scores/element.h"
#include "cpu.h"

namespace dff {

// The images first, first + step, ... of a map and `count` channels of each place, from `begin` on.
struct Int8Part {
  int first, step, begin, count;
  int images(int all) const { return all > first ? (all - first + step - 1) / step : 0; }
};

void int8_slice_cpu(const Int8Map& map, const Int8Part& part, const uint8_t* in, uint8_t* out);

// out = byte of value * slope where the byte's value is not above 0, else of value; factor: scale of `in` over that of `out`.
void int8_activation_cpu(size_t bytes, const uint8_t* in, int in_zero, float slope, float factor, int zero, uint8_t* out);

// feature [F, C, H, W] fetched along flow [N, 2, H, W], times the byte of scale [N, H, W, C] less scale_zero, times factor: bytes
// of that [N, H, W, C], of which `zero` stands for 0. C is a multiple of 4.
struct Int8Scaling {
  int scale_zero, zero;
  float factor;
};
void int8_warp_cpu(const WarpShape& shape, const float* feature, const float* flow, const uint8_t* scale, const Int8Scaling& how,
                   uint8_t* out);

// How well the places of one map match those around them in another, both [N, H, W, C], in which in_zero stands for 0: the sum of the
// products, times factor, times slope where it is not above 0, as bytes [N, H, W, planes to the next multiple of 4].
struct Int8Matching {
  int in_zero, zero;
  float factor, slope;
};
void int8_correlation_cpu(const CorrelationShape& shape, const Int8Matching& how, const uint8_t* current, const uint8_t* reference,
                          uint8_t* out);

const int kInt8Block = 16;  // channels that a step takes of every place, or bin

// data [N, H, W, C], of which `zero` stands for 0, rois [R, 5], weight [panels, depth / 4, 32, 4], depth = blocks of channels * bins *
// kInt8Block in this order, scale and shift [O], bias [P * P, O] -> out [R, O].
void int8_scores_cpu(const PooledScoresShape& shape, const uint8_t* data, int zero, const float* rois, const int8_t* weight,
                     const float* scale, const float* shift, const float* bias, float* out);

}  // namespace dff
