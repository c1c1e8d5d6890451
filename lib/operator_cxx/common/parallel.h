// Exceptions in parallel loops: one that leaves an OpenMP region ends the process.
#pragma once
#include <atomic>
#include <exception>
#include <mutex>

namespace dff {

// Keeps the first exception that a parallel region met, most likely that memory ran out, for the
// thread that started it.
class Caught {
 public:
  // Runs `body` unless another thread has failed already: what that would have left may be needed.
  template <typename Body>
  void run(Body body) {
    if (failed_) return;
    try {
      body();
    } catch (...) {
      std::lock_guard<std::mutex> lock(mutex_);
      if (!first_) first_ = std::current_exception();
      failed_ = true;
    }
  }

  // Behind the region: throws what `run` caught.
  void rethrow() const {
    if (first_) std::rethrow_exception(first_);
  }

 private:
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  std::exception_ptr first_;
};

}  // namespace dff
