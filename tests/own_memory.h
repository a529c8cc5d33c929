#pragma once
// What the process holds of the machine's memory.

#include <cstddef>
#include <fstream>
#include <string>

namespace tercel {

// Bytes of its own: neither files' pages, which the system takes back when it needs them, nor
// shared memory.
inline std::size_t own_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::size_t kilobytes = 0;
    if (word == "RssAnon:" && status >> kilobytes) return kilobytes << 10;
  }
  return 0;
}

}  // namespace tercel
