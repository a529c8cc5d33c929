#pragma once
// What the thread pools know of the calling thread. Shared by the parts of base alone.

#include <atomic>

namespace tercel {

struct ThisThread {
  // True on workers, on a caller inside parallel_for, and in a request that runs alone: all work is
  // done here.
  bool in_parallel = false;
  // How many requests run where this thread's request does; null outside of requests.
  const std::atomic<int>* requests = nullptr;
};

ThisThread& this_thread();

}  // namespace tercel
