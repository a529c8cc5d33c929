#include "src/base/thread_pool.h"

#include <algorithm>

#include <sched.h>

namespace tercel {

int available_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

struct ThreadPool::State {
  int threads = 1;
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  state_->threads = threads > 0 ? threads : available_cpus();
}

ThreadPool::~ThreadPool() = default;

int ThreadPool::size() const { return state_->threads; }

void ThreadPool::parallel_for(int64_t count, int64_t /*grain*/,
                              FunctionRef<void(int64_t, int64_t)> body) {
  if (count > 0) body(0, count);
}

}  // namespace tercel
