#include "src/base/atomic_file.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <unistd.h>

#include "src/base/fail.h"

namespace tercel {

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
  static std::atomic<unsigned> serial{0};
  const std::string suffix =
      ".tmp" + std::to_string(::getpid()) + "-" + std::to_string(serial.fetch_add(1));
  temporary_ = path_;
  temporary_ += suffix;
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd_ < 0) {
    fail(Errc::io, "{}: cannot be written: {}", path_.string(), std::strerror(errno));
  }
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      fail(Errc::io, "{}: cannot be written: {}", path_.string(), std::strerror(errno));
    }
    size_ += static_cast<std::size_t>(written);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void AtomicFile::pad_to(std::size_t alignment) {
  static constexpr std::byte kZeros[512]{};
  std::size_t left = (alignment - size_ % alignment) % alignment;
  while (left > 0) {
    const std::size_t part = std::min(left, sizeof(kZeros));
    write(std::span(kZeros, part));
    left -= part;
  }
}

void AtomicFile::commit() {
  if (::close(std::exchange(fd_, -1)) != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary_.c_str());
    fail(Errc::io, "{}: cannot be written: {}", path_.string(), std::strerror(error));
  }
}

}  // namespace tercel
