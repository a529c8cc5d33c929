#include "src/device/cpu_cache.h"

#include <algorithm>
#include <fstream>
#include <string>

namespace tercel {
namespace {

// Linux, Documentation/ABI/testing/sysfs-devices-system-cpu: "32768K". What sysconf says of AMD's
// processors is the sum of all their caches.
std::size_t find_last_cache() {
  constexpr int kCaches = 8;
  std::size_t largest = 0;
  for (int i = 0; i < kCaches; ++i) {
    std::ifstream file("/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(i) + "/size");
    std::size_t size = 0;
    char unit = ' ';
    if (file >> size >> unit && unit == 'K') largest = std::max(largest, size << 10);
  }
  return largest;
}

}  // namespace

std::size_t last_cache_bytes() {
  static const std::size_t bytes = find_last_cache();
  return bytes;
}

}  // namespace tercel
