#pragma once
// Bytes that a session holds beside its buffers: what strings say.

#include "src/device/memory.h"

namespace tercel {

// Counts `bytes` against the allocator's cap for as long as the result lives. Throws
// Errc::out_of_memory naming `what`.
std::shared_ptr<const void> count_bytes(Allocator& memory, std::size_t bytes, const char* what);

}  // namespace tercel
