#pragma once
// The threads that kernels run on.
//
// A pool of n has n - 1 workers: the calling thread works too. Workers spin for a moment after a
// job, then sleep. Only one caller at a time has the workers; a caller that finds them taken does
// all of its work itself, so that no request waits for another's lock. A parallel_for inside a
// parallel_for runs on the calling thread alone.

#include <cstdint>
#include <memory>

#include "src/base/function_ref.h"

namespace tercel {

// CPUs this process may use: the smaller of its affinity mask (cpuset) and its cgroup's CPU quota
// (v2 cpu.max, v1 cpu.cfs_quota_us, rounded up), at least 1.
int available_cpus();

class ThreadPool {
 public:
  // `threads` includes the caller; 0 means available_cpus().
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const;

  // Calls body(begin, end) on disjoint ranges that cover [0, count). Ranges are multiples of
  // `grain` long, but the last. How the ranges are cut depends on timing: a body's result must not.
  // An exception of the body reaches the caller once all ranges have ended; the first one wins.
  void parallel_for(int64_t count, int64_t grain, FunctionRef<void(int64_t, int64_t)> body);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tercel
