#pragma once
// The threads that a session's requests run on, or those of all sessions that share them.
//
// Requests that meet do not crowd the CPUs: a job gets as many workers of the pool as leave one of
// its threads to each other request that runs meanwhile.

#include <atomic>
#include <memory>

#include "src/base/function_ref.h"
#include "src/base/numa.h"
#include "src/base/queue_of_callers.h"
#include "src/base/thread_pool.h"

namespace tercel {

class RequestThreads {
 public:
  // As ThreadPool. `cpus`: the workers stay on them, and callers as long as a request lasts; empty:
  // all may run wherever the process may. `pin`: each worker stays on a CPU of `cpus`, or of the
  // process's affinity mask, from its second one on.
  explicit RequestThreads(int threads, bool pin = false, CpuList cpus = {});

  // The available_cpus() threads that whoever wants all of them shares. They last while somebody
  // holds them.
  static std::shared_ptr<RequestThreads> shared(bool pin = false);

  ThreadPool& pool() { return pool_; }

  // A request of the calling thread, from construction to the end of the scope.
  class Request {
   public:
    enum class Share {
      together,  // the workers help
      alone,     // on the calling thread; no more than pool().size() of these run at a time
    };
    // `may_wait` is called now and then while a request that is to run alone waits for its turn;
    // what it throws ends the waiting.
    Request(RequestThreads& threads, Share share, FunctionRef<void()> may_wait);
    ~Request();
    Request(const Request&) = delete;
    Request& operator=(const Request&) = delete;

   private:
    RequestThreads& threads_;
    const OnCpus on_cpus_;
    const bool alone_;
    const bool was_in_parallel_;
    const std::atomic<int>* const had_requests_;
  };

 private:
  const CpuList cpus_;
  ThreadPool pool_;
  alignas(64) std::atomic<int> requests_{0};  // that run
  QueueOfCallers alone_;
};

}  // namespace tercel
