#pragma once
// A door with a number of places behind it. Callers who find none free wait in the order in which
// they came, asleep.

#include <condition_variable>
#include <mutex>

#include "src/base/function_ref.h"

namespace tercel {

class QueueOfCallers {
 public:
  explicit QueueOfCallers(int places) : free_(places) {}
  QueueOfCallers(const QueueOfCallers&) = delete;
  QueueOfCallers& operator=(const QueueOfCallers&) = delete;

  // Takes a place. `may_wait` is called every few milliseconds while there is none; when it
  // throws, the caller leaves the queue with that exception.
  void enter(FunctionRef<void()> may_wait);
  void leave();

 private:
  struct Waiter {
    std::condition_variable called;
    bool has_place = false;
    Waiter* next = nullptr;
  };
  void remove(Waiter& waiter);
  void pass_on();

  std::mutex mutex_;  // guards what follows, and the waiters
  int free_;
  Waiter* first_ = nullptr;
  Waiter* last_ = nullptr;
};

}  // namespace tercel
