#pragma once
// Constants on their way from the host into a device's memory.
//
// Threads read them by pieces, those of a mapped file straight from the file, into host memory that
// the device copies from without the CPU's help; each piece has a queue of its own. What is to be
// of another type is converted on the device. So reading, copying and converting go on side by
// side, and of a model the host never holds more than these pieces.

#include <memory>

#include "src/base/thread_pool.h"
#include "src/device/memory.h"
#include "tercel/dtype.h"

namespace tercel {

// All members may be called from several threads.
class Uploads {
 public:
  virtual ~Uploads() = default;
  // `count` elements to `to`, in the device's memory, where they become `to_type`. Returns when
  // `from` has been read and may go, which `pool` does. What `to` held is undefined until wait().
  virtual void add(void* to, Dtype to_type, const void* from, Dtype from_type, int64_t count,
                   ThreadPool& pool) = 0;
  // Returns when all that was added is there. Throws what Stream::synchronize throws.
  virtual void wait() = 0;
};

// Queues a conversion of `count` elements within the device's memory.
using Convert = void (*)(void* to, Dtype to_type, const void* from, Dtype from_type, int64_t count,
                         Stream& stream);

std::unique_ptr<Uploads> make_uploads(Device& device, Convert convert);

}  // namespace tercel
