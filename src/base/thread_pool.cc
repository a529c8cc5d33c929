#include "src/base/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <exception>
#include <system_error>
#include <thread>
#include <vector>

#include <pthread.h>
#include <signal.h>

#include "src/base/cgroup.h"
#include "src/base/fail.h"
#include "src/base/numa.h"
#include "src/base/this_thread.h"

namespace tercel {
namespace {

// Long enough to bridge the gap between two kernels of one request (50 µs cost a tenth of the speed
// where steps are short, 300 µs gained nothing more), short enough to leave an idle process idle.
constexpr auto kSpin = std::chrono::microseconds(150);

// More ranges than threads, so that a thread that was held up costs little.
constexpr int64_t kRangesPerThread = 8;

void pause_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Waits until value differs from old; returns what it became.
uint32_t await_change(const std::atomic<uint32_t>& value, uint32_t old, bool spin) {
  if (spin) {
    const auto end = std::chrono::steady_clock::now() + kSpin;
    do {
      for (int i = 0; i < 64; ++i) {
        const uint32_t now = value.load(std::memory_order_acquire);
        if (now != old) return now;
        pause_cpu();
      }
    } while (std::chrono::steady_clock::now() < end);
  }
  value.wait(old, std::memory_order_acquire);
  return value.load(std::memory_order_acquire);
}

// Threads inherit the mask: signals are the host program's business, not the workers'.
class BlockSignals {
 public:
  BlockSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old_);
  }
  ~BlockSignals() { pthread_sigmask(SIG_SETMASK, &old_, nullptr); }

 private:
  sigset_t old_;
};

}  // namespace

ThisThread& this_thread() {
  thread_local ThisThread state;
  return state;
}

int available_cpus() {
  auto cpus = static_cast<int>(allowed_cpus().size());
  if (cpus == 0) cpus = static_cast<int>(std::thread::hardware_concurrency());
  const double quota = cgroup_cpu_quota("/proc/self/cgroup", "/sys/fs/cgroup");
  if (quota > 0) cpus = static_cast<int>(std::min(std::ceil(quota), static_cast<double>(cpus)));
  return std::max(1, cpus);
}

struct ThreadPool::State {
  int threads = 1;
  bool spin = true;
  std::vector<std::thread> workers;
  std::atomic<bool> taken{false};
  std::atomic<bool> stopping{false};

  // The job. Written by the caller that has `taken` while the gate is shut and empty.
  FunctionRef<void(int64_t, int64_t)>* body = nullptr;
  int64_t count = 0;
  int64_t range = 1;
  std::exception_ptr error;
  std::atomic<uint32_t> helpers{0};  // workers that may come in
  alignas(64) std::atomic<int64_t> next{0};
  std::atomic<bool> failed{false};

  // Bit 0: workers may come in. Above it: how many are inside. A worker that wakes late finds the
  // gate shut, so that no job waits for a sleeper.
  alignas(64) std::atomic<uint32_t> gate{0};
  alignas(64) std::atomic<uint32_t> jobs{0};  // counts up once a job; workers wait on it

  ~State() {
    stopping.store(true, std::memory_order_relaxed);
    jobs.fetch_add(1, std::memory_order_release);
    jobs.notify_all();
    for (auto& worker : workers) worker.join();
  }

  void work() {
    try {
      for (;;) {
        const int64_t begin = next.fetch_add(range, std::memory_order_relaxed);
        if (begin >= count) return;
        (*body)(begin, std::min(count, begin + range));
      }
    } catch (...) {
      next.store(count, std::memory_order_relaxed);
      if (!failed.exchange(true)) error = std::current_exception();
    }
  }

  bool enter() {
    uint32_t seen = gate.load(std::memory_order_relaxed);
    while ((seen & 1U) != 0 && seen >> 1 < helpers.load(std::memory_order_relaxed)) {
      if (gate.compare_exchange_weak(seen, seen + 2, std::memory_order_acquire)) return true;
    }
    return false;
  }

  void worker_loop() {
    this_thread().in_parallel = true;
    uint32_t seen = 0;
    for (;;) {
      seen = await_change(jobs, seen, spin);
      if (stopping.load(std::memory_order_relaxed)) return;
      if (!enter()) continue;
      work();
      if (gate.fetch_sub(2, std::memory_order_acq_rel) == 2) gate.notify_one();
    }
  }

  void run() {
    next.store(0, std::memory_order_relaxed);
    failed.store(false, std::memory_order_relaxed);
    gate.store(1, std::memory_order_release);
    jobs.fetch_add(1, std::memory_order_release);
    jobs.notify_all();
    work();
    uint32_t inside = gate.fetch_and(~1U, std::memory_order_acq_rel) & ~1U;
    while (inside != 0) inside = await_change(gate, inside, spin);
  }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  const int cpus = available_cpus();
  state_->threads = threads > 0 ? threads : cpus;
  state_->spin = state_->threads <= cpus;
  const BlockSignals block;
  try {
    for (int i = 1; i < state_->threads; ++i) {
      state_->workers.emplace_back([state = state_.get()] { state->worker_loop(); });
    }
  } catch (const std::system_error& error) {
    fail(Errc::out_of_memory, "a pool of {} threads could not be started ({}); use fewer threads",
         state_->threads, error.what());
  }
}

ThreadPool::~ThreadPool() = default;

int ThreadPool::size() const { return state_->threads; }

void ThreadPool::parallel_for(int64_t count, int64_t grain,
                              FunctionRef<void(int64_t, int64_t)> body) {
  if (count <= 0) return;
  State& state = *state_;
  grain = std::max<int64_t>(1, grain);
  ThisThread& self = this_thread();
  const int requests = self.requests ? self.requests->load(std::memory_order_relaxed) : 1;
  const int helpers = state.threads - std::max(1, requests);
  if (count <= grain || self.in_parallel || helpers <= 0 ||
      state.taken.exchange(true, std::memory_order_acquire)) {
    body(0, count);
    return;
  }
  const int64_t wanted = count / (kRangesPerThread * (helpers + 1));
  self.in_parallel = true;
  state.body = &body;
  state.count = count;
  state.helpers.store(static_cast<uint32_t>(helpers), std::memory_order_relaxed);
  state.range = std::max(grain, wanted / grain * grain);
  state.run();
  self.in_parallel = false;
  const std::exception_ptr error = std::exchange(state.error, nullptr);
  state.taken.store(false, std::memory_order_release);
  if (error) std::rethrow_exception(error);
}

}  // namespace tercel
