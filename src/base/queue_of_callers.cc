#include "src/base/queue_of_callers.h"

#include <chrono>

namespace tercel {
namespace {

constexpr auto kPatience = std::chrono::milliseconds(5);

}  // namespace

void QueueOfCallers::enter(FunctionRef<void()> may_wait) {
  std::unique_lock lock(mutex_);
  if (free_ > 0) {
    --free_;
    return;
  }
  Waiter self;
  (last_ != nullptr ? last_->next : first_) = &self;
  last_ = &self;
  while (!self.has_place) {
    if (self.called.wait_for(lock, kPatience, [&] { return self.has_place; })) return;
    lock.unlock();
    try {
      may_wait();
    } catch (...) {
      lock.lock();
      if (self.has_place) {
        pass_on();
      } else {
        remove(self);
      }
      throw;
    }
    lock.lock();
  }
}

void QueueOfCallers::leave() {
  const std::lock_guard lock(mutex_);
  pass_on();
}

// The place goes to the first in the queue without becoming free, so that nobody overtakes.
void QueueOfCallers::pass_on() {
  if (first_ == nullptr) {
    ++free_;
    return;
  }
  Waiter& waiter = *first_;
  remove(waiter);
  waiter.has_place = true;
  waiter.called.notify_one();  // under the lock: the waiter lives until it has seen its place
}

void QueueOfCallers::remove(Waiter& waiter) {
  Waiter* before = nullptr;
  for (Waiter* at = first_; at != &waiter; at = at->next) before = at;
  (before != nullptr ? before->next : first_) = waiter.next;
  if (last_ == &waiter) last_ = before;
}

}  // namespace tercel
