#pragma once
// Memory of a CUDA device, and host memory that it reaches. Blocks that are let go of are kept for
// the next that fits, since the driver's own calls wait for the device; they go back when memory
// runs out, or with the allocator. A Buffer is let go of only when no queued work uses it.

#include "src/device/memory.h"

namespace tercel::cuda {

enum class Memory { device, host };

// `limit` in bytes, 0 for what the driver gives.
std::shared_ptr<Allocator> make_allocator(int device, Memory memory, std::size_t limit);

}  // namespace tercel::cuda
