#include "cpu.h"

#include <omp.h>

#include "../common/cpu.h"
#include "../common/parallel.h"

namespace dff {
namespace {

enum { kMap, kGradMap, kOwn, kGradOwn, kTaps, kPlaces, kParts };  // scratch slots

// What is kept of every place: floats of [maps, plane], and inverse_query of [images, plane].
struct Places {
  float *cosine, *inverse_embedding, *weight, *share, *inverse_query;
};

Places places_of(const AggregateShape& s) {
  const size_t size = static_cast<size_t>(s.maps()) * s.plane();
  float* all = scratch<float>(kPlaces, 4 * size + static_cast<size_t>(s.images) * s.plane());
  return {all, all + size, all + 2 * size, all + 3 * size, all + 4 * size};
}

const WarpTap* taps_of(const AggregateShape& s, const float* flow) {
  const size_t plane = s.plane();
  WarpTap* taps = scratch<WarpTap>(kTaps, plane * s.maps());
#pragma omp parallel for
  for (int map = 0; map < s.maps(); ++map) {
    for (size_t place = 0; place < plane; ++place) taps[map * plane + place] = place_tap(s, flow, map, static_cast<int>(place));
  }
  return taps;
}

DFF_INLINE Eight tapped(const WarpTap& tap, const float* map) {
  Eight sum = tap.weight[0] * load_eight(map + tap.offset[0] * kLanes);
  for (int k = 1; k < 4; ++k) sum += tap.weight[k] * load_eight(map + tap.offset[k] * kLanes);
  return sum;
}

DFF_INLINE float total(const Eight& v) { return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7])); }

// Sends the gradient `g` of a warped value to the cells that it was read from, and to the flow (null: there is none).
DFF_INLINE void send_back(const WarpTap& tap, const Eight& g, const float* map, float* grad_map, float* grad_flow, size_t plane) {
  if (grad_flow) {
    Eight x = {0}, y = {0};
    for (int k = 0; k < 4; ++k) {
      const Eight value = load_eight(map + tap.offset[k] * kLanes);
      x += tap.slope_x[k] * value;
      y += tap.slope_y[k] * value;
    }
    grad_flow[0] += total(x * g);
    grad_flow[plane] += total(y * g);
  }
  if (!reads_map(tap)) return;
  for (int k = 0; k < 4; ++k) {  // one after the other: at the border two of them may be the same cell
    float* to = grad_map + tap.offset[k] * kLanes;
    store_eight(to, load_eight(to) + tap.weight[k] * g);
  }
}

DFF_CLONES void load_block(const float* from, size_t plane, int lanes, float* to) {
  load_lanes(from, plane, lanes, static_cast<int>(plane), to);
}

DFF_CLONES void store_block(const float* from, size_t plane, int lanes, float* to) {
  store_lanes(from, plane, lanes, static_cast<int>(plane), to);
}

// Adds to the products and squares of one map what eight channels of it give.
DFF_CLONES void compare_block(size_t plane, const WarpTap* taps, const float* map, const float* query, float* product, float* square) {
  for (size_t i = 0; i < plane; ++i) {
    const Eight value = tapped(taps[i], map);
    product[i] += total(value * load_eight(query + i * kLanes));
    square[i] += total(value * value);
  }
}

DFF_CLONES void square_block(size_t plane, const float* query, float* square) {
  for (size_t i = 0; i < plane; ++i) square[i] += total(load_eight(query + i * kLanes) * load_eight(query + i * kLanes));
}

DFF_CLONES void add_block(size_t plane, const WarpTap* taps, const float* map, const float* weight, float* sum) {
  for (size_t i = 0; i < plane; ++i) {
    store_eight(sum + i * kLanes, load_eight(sum + i * kLanes) + weight[i] * tapped(taps[i], map));
  }
}

// Gradients of eight channels of a feature map, and their part of grad_out . warped feature.
DFF_CLONES void feature_block(size_t plane, const WarpTap* taps, const float* map, const float* grad_out, const float* weight,
                              float* grad_map, float* share, float* grad_flow) {
  for (size_t i = 0; i < plane; ++i) {
    const Eight g = load_eight(grad_out + i * kLanes);
    share[i] += total(tapped(taps[i], map) * g);
    send_back(taps[i], weight[i] * g, map, grad_map, grad_flow ? grad_flow + i : nullptr, plane);
  }
}

// One map's places: what its embedding's gradient depends on.
struct Slopes {
  const float *gradient, *cosine, *inverse_embedding, *inverse_query;
};

DFF_CLONES void embedding_block(size_t plane, const WarpTap* taps, const float* map, const float* query, const Slopes& at,
                                float* grad_map, float* grad_query, float* grad_flow) {
  for (size_t i = 0; i < plane; ++i) {
    const Eight value = tapped(taps[i], map), q = load_eight(query + i * kLanes);
    const CosineSlopes s = cosine_slopes(at.gradient[i], at.cosine[i], at.inverse_embedding[i], at.inverse_query[i]);
    float* to = grad_query + i * kLanes;
    store_eight(to, load_eight(to) + (s.other * value - s.own_query * q));
    send_back(taps[i], s.other * q - s.own_embedding * value, map, grad_map, grad_flow ? grad_flow + i : nullptr, plane);
  }
}

// Runs body(first channel, lanes, this thread's part) for all blocks of channels, and then adds up the threads' parts, `size`
// floats each, in order, so that equal runs give equal bits: sum(i, value).
template <typename Body, typename Sum>
void for_blocks(int channels, size_t size, Body body, Sum sum) {
  const int threads = omp_get_max_threads();
  float* parts = scratch<float>(kParts, size * threads);
  memset(parts, 0, size * threads * sizeof(float));
  Caught caught;
#pragma omp parallel for schedule(static)
  for (int channel = 0; channel < channels; channel += kLanes) {
    caught.run([&] { body(channel, min_int(kLanes, channels - channel), parts + size * omp_get_thread_num()); });
  }
  caught.rethrow();
#pragma omp parallel for
  for (long long i = 0; i < static_cast<long long>(size); ++i) {
    float value = 0.0f;
    for (int t = 0; t < threads; ++t) value += parts[size * t + i];
    sum(static_cast<size_t>(i), value);
  }
}

// Cosines and weights of all frames at all places.
void compare(const AggregateShape& s, const AggregateInputs& in, const WarpTap* taps, const Places& places) {
  const size_t plane = s.plane(), maps = plane * s.maps(), images = plane * s.images;
  // Products and squares of all maps, squares of the queries.
  for_blocks(
      s.embedding, 2 * maps + images,
      [&](int channel, int lanes, float* part) {
        float *map_lanes = scratch<float>(kMap, plane * kLanes), *query_lanes = scratch<float>(kOwn, plane * kLanes);
        for (int n = 0; n < s.images; ++n) {
          load_block(in.query + (static_cast<size_t>(n) * s.embedding + channel) * plane, plane, lanes, query_lanes);
          square_block(plane, query_lanes, part + 2 * maps + n * plane);
          for (int map = n; map < s.maps(); map += s.images) {
            load_block(in.embedding + (static_cast<size_t>(map) * s.embedding + channel) * plane, plane, lanes, map_lanes);
            compare_block(plane, taps + map * plane, map_lanes, query_lanes, part + map * plane, part + maps + map * plane);
          }
        }
      },
      [&](size_t i, float value) {
        if (i < maps) {
          places.cosine[i] = value;
        } else if (i < 2 * maps) {
          places.inverse_embedding[i - maps] = inverse_length(value);
        } else {
          places.inverse_query[i - 2 * maps] = inverse_length(value);
        }
      });
#pragma omp parallel for
  for (long long at = 0; at < static_cast<long long>(images); ++at) {
    for (size_t i = at; i < maps; i += images) places.cosine[i] *= places.inverse_embedding[i] * places.inverse_query[at];
    frame_weights(s.frames, images, places.cosine + at, places.weight + at);
  }
}

}  // namespace

void aggregate_forward_cpu(const AggregateShape& s, const AggregateInputs& in, float* out) {
  const size_t plane = s.plane();
  const WarpTap* taps = taps_of(s, in.flow);
  const Places places = places_of(s);
  compare(s, in, taps, places);
  Caught caught;
#pragma omp parallel for
  for (int channel = 0; channel < s.channels; channel += kLanes) {
    caught.run([&] {
      const int lanes = min_int(kLanes, s.channels - channel);
      float *map_lanes = scratch<float>(kMap, plane * kLanes), *sum = scratch<float>(kOwn, plane * kLanes);
      for (int n = 0; n < s.images; ++n) {
        memset(sum, 0, plane * kLanes * sizeof(float));
        for (int map = n; map < s.maps(); map += s.images) {
          load_block(in.feature + (static_cast<size_t>(map) * s.channels + channel) * plane, plane, lanes, map_lanes);
          add_block(plane, taps + map * plane, map_lanes, places.weight + map * plane, sum);
        }
        store_block(sum, plane, lanes, out + (static_cast<size_t>(n) * s.channels + channel) * plane);
      }
    });
  }
  caught.rethrow();
}

void aggregate_backward_cpu(const AggregateShape& s, const float* grad_out, const AggregateInputs& in, const AggregateGradients& grad) {
  const size_t plane = s.plane(), maps = plane * s.maps(), images = plane * s.images;
  const WarpTap* taps = taps_of(s, in.flow);
  const Places places = places_of(s);
  compare(s, in, taps, places);
  // The first [maps, plane] of a thread's part: its share of grad_out . warped feature; behind it that of the flow's gradient.
  for_blocks(
      s.channels, maps + (in.flow ? 2 * maps : 0),
      [&](int channel, int lanes, float* part) {
        float *map_lanes = scratch<float>(kMap, plane * kLanes), *grad_map = scratch<float>(kGradMap, plane * kLanes);
        float* own = scratch<float>(kOwn, plane * kLanes);
        for (int n = 0; n < s.images; ++n) {
          load_block(grad_out + (static_cast<size_t>(n) * s.channels + channel) * plane, plane, lanes, own);
          for (int map = n; map < s.maps(); map += s.images) {
            const size_t at = (static_cast<size_t>(map) * s.channels + channel) * plane;
            load_block(in.feature + at, plane, lanes, map_lanes);
            memset(grad_map, 0, plane * kLanes * sizeof(float));
            feature_block(plane, taps + map * plane, map_lanes, own, places.weight + map * plane, grad_map, part + map * plane,
                          in.flow ? part + maps + 2 * map * plane : nullptr);
            store_block(grad_map, plane, lanes, grad.feature + at);
          }
        }
      },
      [&](size_t i, float value) { (i < maps ? places.share[i] : grad.flow[i - maps]) = value; });
#pragma omp parallel for
  for (long long at = 0; at < static_cast<long long>(images); ++at) {
    cosine_gradient(s.frames, images, places.weight + at, places.share + at);
  }
  for_blocks(
      s.embedding, in.flow ? 2 * maps : 0,
      [&](int channel, int lanes, float* part) {
        float *map_lanes = scratch<float>(kMap, plane * kLanes), *grad_map = scratch<float>(kGradMap, plane * kLanes);
        float *own = scratch<float>(kOwn, plane * kLanes), *grad_own = scratch<float>(kGradOwn, plane * kLanes);
        for (int n = 0; n < s.images; ++n) {
          const size_t query_at = (static_cast<size_t>(n) * s.embedding + channel) * plane;
          load_block(in.query + query_at, plane, lanes, own);
          memset(grad_own, 0, plane * kLanes * sizeof(float));
          for (int map = n; map < s.maps(); map += s.images) {
            const size_t at = (static_cast<size_t>(map) * s.embedding + channel) * plane, place = map * plane;
            load_block(in.embedding + at, plane, lanes, map_lanes);
            memset(grad_map, 0, plane * kLanes * sizeof(float));
            embedding_block(plane, taps + place, map_lanes, own,
                            {places.share + place, places.cosine + place, places.inverse_embedding + place,
                             places.inverse_query + n * plane},
                            grad_map, grad_own, in.flow ? part + 2 * place : nullptr);
            store_block(grad_map, plane, lanes, grad.embedding + at);
          }
          store_block(grad_own, plane, lanes, grad.query + query_at);
        }
      },
      [&](size_t i, float value) { grad.flow[i] += value; });
}

}  // namespace dff
