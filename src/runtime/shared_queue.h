#pragma once
// A stream of an accelerator for runs that follow one another: each is queued while those before it
// are still at work, and uses the memory that they leave.

#include <memory>
#include <mutex>

#include "src/runtime/accelerator.h"

namespace tercel::runtime {

class SharedQueue {
 public:
  explicit SharedQueue(Accelerator& accelerator);

  // Held while a run is queued.
  std::mutex& mutex() { return mutex_; }
  Stream& stream() { return *stream_; }
  // The accelerator's memory for the values of a run, `bytes` at least. `what` names the use in the
  // error.
  std::shared_ptr<Buffer> arena(std::size_t bytes, const char* what);

 private:
  Accelerator& accelerator_;
  std::unique_ptr<Stream> stream_;
  std::mutex mutex_;
  std::mutex growing_;  // guards what follows
  std::shared_ptr<Buffer> arena_;
};

}  // namespace tercel::runtime
