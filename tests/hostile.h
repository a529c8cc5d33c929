#pragma once
// What the tests of malformed files share: limits on time and memory, copies that a sanitizer can
// guard, and random damage.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <sys/resource.h>

#if defined(__SANITIZE_ADDRESS__)
#define TERCEL_HOSTILE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TERCEL_HOSTILE_SANITIZED 1
#endif
#endif

namespace tercel::hostile {

// What one file may cost. A sanitizer keeps what is freed for a while (256 MB of it), pads every
// allocation, and checks every access: there the limits still catch what grows with a number in a
// file, which is what they are for.
#ifdef TERCEL_HOSTILE_SANITIZED
inline constexpr double kSeconds = 10;
inline constexpr int64_t kBytes = int64_t{1} << 30;
#else
inline constexpr double kSeconds = 1;
inline constexpr int64_t kBytes = int64_t{256} << 20;
#endif

// A line of /proc/self/status in bytes; 0 when there is none.
inline int64_t status_bytes(std::string_view key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(key)) return std::stoll(line.substr(key.size() + 1)) * 1024;
  }
  return 0;
}

// Watches what reading hostile files costs: processor time file by file (another process on the
// machine takes none of it), and the peak of resident memory over all of them.
class Watch {
 public:
  Watch() {
    std::ofstream("/proc/self/clear_refs") << "5";  // the peak starts again from here
    resident_ = status_bytes("VmRSS:");
  }
  ~Watch() { EXPECT_LE(status_bytes("VmHWM:") - resident_, kBytes) << "bytes"; }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  template <class Read>
  void file(const Read& read) {
    ++files_;
    const double start = processor_seconds();
    read();
    const double seconds = processor_seconds() - start;
    slowest_ = std::max(slowest_, seconds);
    EXPECT_LE(seconds, kSeconds) << "seconds of processor time";
  }
  int files() const { return files_; }
  double slowest() const { return slowest_; }

 private:
  static double processor_seconds() {
    timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
  }

  int64_t resident_ = 0;
  int files_ = 0;
  double slowest_ = 0;
};

// Runs what reads one hostile file, and holds it to the limits.
template <class Read>
void within_limits(const Read& read) {
  Watch watch;
  watch.file(read);
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
