#include "cpu.h"

#include <algorithm>
#include <new>
#include <utility>

#include "../common/nms.h"
#include "links.h"

namespace dff {
namespace {

typedef std::pair<double, int> Sum;  // of the best path that ends at a box, and the box

// Whether the path of `a` is taken after that of `b`: the smaller sum, of equal ones the later box.
struct Later {
  bool operator()(const Sum& a, const Sum& b) const { return a.first < b.first || (a.first == b.first && a.second > b.second); }
};

// The boxes of one class of a clip that no path has taken or suppressed yet, and the best paths that end at them.
class Clip {
 public:
  Clip(int frames, const int* offsets, const Box* boxes, const double* scores, double link, double suppress)
      : boxes_(frames, offsets, boxes), scores_(scores), suppress_(suppress), frame_of_(offsets[frames]), free_(offsets[frames], 1),
        marked_(offsets[frames], 0), before_(offsets[frames], -1), sum_(offsets[frames]) {
    link_boxes(frames, offsets, link, &boxes_, &after_, &reaching_);
    links_ = after_.items.size();
    for (int t = 0; t < frames; ++t) {
      for (int i = offsets[t]; i < offsets[t + 1]; ++i) {
        frame_of_[i] = t;
        extend(i);
        heap_.push_back(Sum(sum_[i], i));
      }
    }
    std::make_heap(heap_.begin(), heap_.end(), Later());
  }

  // Finds the next path, its boxes in the order of time, takes it out and clears `stays` of the boxes that it suppresses.
  // False where none is left whose sum reaches `least`.
  bool take(double least, std::vector<int>* path, double* total, unsigned char* stays) {
    if (!links_ || !settle_top() || heap_.front().first < least) return false;
    *total = heap_.front().first;
    path->clear();
    for (int i = heap_.front().second; i >= 0; i = before_[i]) path->push_back(i);
    std::reverse(path->begin(), path->end());
    remove(*path, stays);
    return true;
  }

 private:
  // Sums only fall, so the heap may hold old ones: makes its top the largest sum that holds; false where no box is left.
  bool settle_top() {
    while (!heap_.empty()) {
      const Sum top = heap_.front();
      if (free_[top.second] && sum_[top.second] == top.first) return true;
      std::pop_heap(heap_.begin(), heap_.end(), Later());
      heap_.pop_back();
      if (!free_[top.second]) continue;
      heap_.push_back(Sum(sum_[top.second], top.second));
      std::push_heap(heap_.begin(), heap_.end(), Later());
    }
    return false;
  }

  // Computes the best path that ends at box i anew.
  void extend(int i) {
    before_[i] = -1;
    for (size_t k = reaching_.begin[i]; k < reaching_.begin[i + 1]; ++k) {
      const int p = reaching_.items[k];
      if (free_[p] && (before_[i] < 0 || sum_[p] > sum_[before_[i]])) before_[i] = p;
    }
    sum_[i] = before_[i] < 0 ? scores_[i] : scores_[i] + sum_[before_[i]];
  }

  // Notes the boxes of the next frame whose best path goes through box i.
  void follow(int i) {
    for (size_t k = after_.begin[i]; k < after_.begin[i + 1]; ++k) {
      const int j = after_.items[k];
      if (!free_[j] || before_[j] != i || marked_[j]) continue;
      marked_[j] = 1;
      next_.push_back(j);
    }
  }

  // Takes box i out, with its links.
  void cut(int i) {
    free_[i] = 0;
    for (size_t k = after_.begin[i]; k < after_.begin[i + 1]; ++k) links_ -= free_[after_.items[k]];
    for (size_t k = reaching_.begin[i]; k < reaching_.begin[i + 1]; ++k) links_ -= free_[reaching_.items[k]];
    follow(i);
  }

  // Frame by frame: what the path's box suppresses, then the sums that went through what is gone or has changed.
  void remove(const std::vector<int>& path, unsigned char* stays) {
    std::vector<int> dirty;
    for (size_t step = 0; step < path.size() || !dirty.empty(); ++step) {
      next_.clear();
      if (step < path.size()) {
        const int own = path[step];
        cut(own);
        near_.clear();
        boxes_.overlapping(own, frame_of_[own], suppress_, &near_);
        for (const int i : near_) {
          if (!free_[i]) continue;
          stays[i] = 0;
          cut(i);
        }
      }
      for (const int i : dirty) {
        marked_[i] = 0;
        if (!free_[i]) continue;
        const double old = sum_[i];
        extend(i);
        if (sum_[i] != old) follow(i);
      }
      dirty.swap(next_);
    }
  }

  FrameBoxes boxes_;
  const double* scores_;
  const double suppress_;
  Lists after_, reaching_;
  size_t links_;  // between free boxes
  std::vector<int> frame_of_;
  std::vector<unsigned char> free_, marked_;
  std::vector<int> before_;  // of the best path that ends at a box: the box before
  std::vector<double> sum_;
  std::vector<Sum> heap_;
  std::vector<int> near_, next_;  // of `remove`: boxes of the frame that it is at, and of the next
};

int seq_nms(int frames, const int* offsets, const Box* boxes, const double* scores, double link, double suppress,
            double least_sum, bool highest, double* new_scores, unsigned char* stays) {
  std::fill(stays, stays + offsets[frames], 1);
  std::copy(scores, scores + offsets[frames], new_scores);
  Clip clip(frames, offsets, boxes, scores, link, suppress);
  std::vector<int> path;
  double total;
  int count = 0;
  for (; clip.take(least_sum, &path, &total, stays); ++count) {
    double value = total / path.size();
    if (highest) {
      value = scores[path[0]];
      for (const int i : path) value = std::max(value, scores[i]);
    }
    for (const int i : path) new_scores[i] = value;
  }
  return count;
}

int nms_of_frames(int frames, const int* offsets, const Box* boxes, const double* scores, float threshold, int* kept) {
  std::vector<int> order;
  KeptBoxes frame;
  int count = 0;
  for (int t = 0; t < frames; ++t) {
    order.clear();
    for (int i = offsets[t]; i < offsets[t + 1]; ++i) order.push_back(i);
    std::sort(order.begin(), order.end(), [=](int a, int b) { return scores[a] > scores[b] || (scores[a] == scores[b] && a < b); });
    frame.clear();
    for (const int i : order) {
      if (frame.offer(boxes[i], threshold)) kept[count++] = i;
    }
  }
  return count;
}

}  // namespace
}  // namespace dff

int dff_seq_nms(int frames, const int* offsets, const float* boxes, const double* scores, double link, double suppress,
                double least_sum, int highest, double* new_scores, unsigned char* stays) {
  try {
    return dff::seq_nms(frames, offsets, reinterpret_cast<const dff::Box*>(boxes), scores, link, suppress, least_sum,
                        highest != 0, new_scores, stays);
  } catch (const std::bad_alloc&) {
    return -1;
  }
}

int dff_nms_of_frames(int frames, const int* offsets, const float* boxes, const double* scores, float threshold, int* kept) {
  try {
    return dff::nms_of_frames(frames, offsets, reinterpret_cast<const dff::Box*>(boxes), scores, threshold, kept);
  } catch (const std::bad_alloc&) {
    return -1;
  }
}
