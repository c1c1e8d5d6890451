// Scores of regions from pooled features: sizes and layouts that the CPU and the CUDA kernel share.
#pragma once
#include "../psroi_pooling/element.h"

namespace dff {

const int kScoreLanes = 8;    // channels that lie side by side in the weight, bin after bin
const int kScorePanel = 16;   // outputs that do

// On a GPU: threads of a block, and outputs that it computes.
const int kScoreThreads = 256, kScoreTile = 64;

struct PooledScoresShape {
  int images, all_channels, height, width, rois;
  int first, channels;  // of all channels, those that are pooled
  int outputs, pooled;
  float spatial_scale;

  DFF_SHARED int bins() const { return pooled * pooled; }
  DFF_SHARED int chunks() const { return (channels + kScoreLanes - 1) / kScoreLanes; }
  DFF_SHARED int panels() const { return (outputs + kScorePanel - 1) / kScorePanel; }
  DFF_SHARED int depth() const { return bins() * kScoreLanes; }  // products of a chunk for one output

  // Where the channels begin that are pooled.
  DFF_SHARED size_t offset(int image) const {
    return (static_cast<size_t>(image) * all_channels + first) * height * width;
  }

  // Place in weight [chunks, panels, depth, 16]; zeros fill up the last chunk and the last panel.
  DFF_SHARED size_t weight_at(int bin, int channel, int output) const {
    const size_t panel = static_cast<size_t>(channel / kScoreLanes) * panels() + output / kScorePanel;
    return (panel * depth() + bin * kScoreLanes + channel % kScoreLanes) * kScorePanel + output % kScorePanel;
  }
};

}  // namespace dff
