#include "src/runtime/shared_queue.h"

namespace tercel::runtime {

SharedQueue::SharedQueue(Accelerator& accelerator)
    : accelerator_(accelerator), stream_(accelerator.device().make_stream()) {}

// Runs that are at work keep the one that they began with.
std::shared_ptr<Buffer> SharedQueue::arena(std::size_t bytes, const char* what) {
  const std::lock_guard lock(growing_);
  if (arena_ == nullptr || arena_->size() < bytes)
    arena_ = accelerator_.memory().allocate(bytes, what);
  return arena_;
}

}  // namespace tercel::runtime
