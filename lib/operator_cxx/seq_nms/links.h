// Which boxes of a clip's frames overlap each other.
#pragma once
#include <stddef.h>

#include <vector>

#include "../common/box.h"

namespace dff {

// The boxes of one class of a clip, frame by frame.
class FrameBoxes {
 public:
  // Frame t has the boxes offsets[t] to offsets[t + 1] - 1 of `boxes`; both must outlive this.
  FrameBoxes(int frames, const int* offsets, const Box* boxes);

  // Appends to `found`, ascending, the boxes of frame t whose overlap with box i is at least `least`. The overlap is that of
  // dff/boxes.py: in double, 0 where nothing is shared or a box has no area.
  void overlapping(int i, int t, double least, std::vector<int>* found);

 private:
  const int* offsets_;
  const Box* boxes_;
  // One array a coordinate, so that several boxes are compared at a time; each frame is filled up to whole groups.
  std::vector<float> x1_, y1_, x2_, y2_, area_;
  std::vector<size_t> groups_;  // where a frame's groups begin
  std::vector<unsigned> near_;  // of each group of a frame: which of its boxes may overlap
};

// Lists of boxes, one for each box, all in one array.
struct Lists {
  std::vector<size_t> begin;  // list i is items[begin[i]] to items[begin[i + 1] - 1], ascending
  std::vector<int> items;
};

// after[i]: the boxes of the next frame that overlap box i by at least `link`; before[i]: those of the frame before.
void link_boxes(int frames, const int* offsets, double link, FrameBoxes* boxes, Lists* after, Lists* before);

}  // namespace dff
