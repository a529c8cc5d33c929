#pragma once
// What the tests of malformed files share: limits on time and memory, copies that a sanitizer can
// guard, and random damage.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <sys/resource.h>

namespace tercel::hostile {

// The largest resident set so far, in bytes.
inline int64_t peak_memory() {
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;
}

// Runs what reads a hostile file, and holds it to a second and 256 MB.
template <class Read>
void within_limits(const Read& read) {
  const int64_t memory = peak_memory();
  const auto start = std::chrono::steady_clock::now();
  read();
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  EXPECT_LE(time.count(), 1.0);
  EXPECT_LE(peak_memory() - memory, int64_t{256} << 20);
}

// A copy on the heap of exactly the file's size, so that a sanitizer sees a read past it.
inline std::shared_ptr<std::byte[]> heap_copy(std::string_view file) {
  std::shared_ptr<std::byte[]> bytes(new std::byte[file.size()]);
  if (!file.empty()) std::memcpy(bytes.get(), file.data(), file.size());
  return bytes;
}

// The file with one to three bytes changed, removed (up to four) or inserted. New bytes are taken
// from `alphabet`; any byte when it is empty.
inline std::string damaged(std::string file, std::mt19937& random, std::string_view alphabet = {}) {
  const auto byte = [&] {
    return alphabet.empty() ? static_cast<char>(random()) : alphabet[random() % alphabet.size()];
  };
  for (uint32_t changes = 1 + random() % 3; changes > 0 && !file.empty(); --changes) {
    const std::size_t at = random() % file.size();
    switch (random() % 3) {
      case 0:
        file[at] = static_cast<char>(random());
        break;
      case 1:
        file.erase(at, 1 + random() % 4);
        break;
      default:
        file.insert(at, 1, byte());
    }
  }
  return file;
}

}  // namespace tercel::hostile
