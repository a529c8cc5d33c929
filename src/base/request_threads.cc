#include "src/base/request_threads.h"

#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include <pthread.h>
#include <sched.h>

#include "src/base/fail.h"
#include "src/base/this_thread.h"

namespace tercel {
namespace {

void pin_this_thread(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (const int code = ::pthread_setaffinity_np(::pthread_self(), sizeof(set), &set)) {
    fail(Errc::unsupported, "a thread cannot be pinned to CPU {} ({})", cpu,
         std::generic_category().message(code));
  }
}

// `pool` is new: nobody else has its workers, so that each takes one of the ranges.
void pin_workers(ThreadPool& pool, const CpuList& cpus) {
  if (cpus.empty()) fail(Errc::unsupported, "threads cannot be pinned: no affinity can be read");
  const auto caller = std::this_thread::get_id();
  std::atomic<int> inside{0};
  std::atomic<std::size_t> next{1};
  pool.parallel_for(pool.size(), 1, [&](int64_t, int64_t) {
    ++inside;
    while (inside < pool.size()) std::this_thread::yield();
    if (std::this_thread::get_id() != caller) pin_this_thread(cpus[next++ % cpus.size()]);
  });
}

// Workers inherit the CPUs of the thread that starts them.
ThreadPool pool_on(const CpuList& cpus, int threads) {
  const OnCpus here(cpus);
  return ThreadPool(threads);
}

}  // namespace

RequestThreads::RequestThreads(int threads, bool pin, CpuList cpus)
    : cpus_(std::move(cpus)), pool_(pool_on(cpus_, threads)), alone_(pool_.size()) {
  if (pin && pool_.size() > 1 && !this_thread().in_parallel) {
    pin_workers(pool_, cpus_.empty() ? allowed_cpus() : cpus_);
  }
}

std::shared_ptr<RequestThreads> RequestThreads::shared(bool pin) {
  static std::mutex mutex;
  static std::weak_ptr<RequestThreads> known[2];
  const std::lock_guard lock(mutex);
  auto threads = known[pin ? 1 : 0].lock();
  if (threads == nullptr) {
    threads = std::make_shared<RequestThreads>(0, pin);
    known[pin ? 1 : 0] = threads;
  }
  return threads;
}

RequestThreads::Request::Request(RequestThreads& threads, Share share, FunctionRef<void()> may_wait)
    : threads_(threads),
      on_cpus_(threads.cpus_),
      alone_(share == Share::alone),
      was_in_parallel_(this_thread().in_parallel),
      had_requests_(this_thread().requests) {
  if (alone_) {
    threads.alone_.enter(may_wait);
    this_thread().in_parallel = true;
  }
  this_thread().requests = &threads.requests_;
  threads.requests_.fetch_add(1, std::memory_order_relaxed);
}

RequestThreads::Request::~Request() {
  threads_.requests_.fetch_sub(1, std::memory_order_relaxed);
  this_thread().requests = had_requests_;
  if (alone_) {
    this_thread().in_parallel = was_in_parallel_;
    threads_.alone_.leave();
  }
}

}  // namespace tercel
