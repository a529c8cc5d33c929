#pragma once
// Memory for blocks that live about as long as each other, such as packed weights.

#include "src/device/memory.h"

namespace tercel {

// As memory.allocate(), and counted as it is; but blocks too small for a huge page of their own
// share some, which stay until the last of the blocks is gone.
std::shared_ptr<Buffer> allocate_lasting(Allocator& memory, std::size_t bytes, const char* what);

}  // namespace tercel
