#pragma once
// The caches of this machine's CPUs.

#include <cstddef>

namespace tercel {

// Bytes of the largest cache that a CPU shares with its neighbours, as the system tells of CPU 0; 0
// where it does not tell.
std::size_t last_cache_bytes();

}  // namespace tercel
