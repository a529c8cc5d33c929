#include "src/tasks/part_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/fail.h"
#include "src/tasks/journal.h"

namespace tercel::tasks {
namespace {

[[noreturn]] void fail_written(const std::filesystem::path& path) {
  fail(Errc::io, "{}: cannot be written: {}", path.string(), std::strerror(errno));
}

}  // namespace

std::filesystem::path PartFile::part_of(const std::filesystem::path& path) {
  return path.string() + ".part";
}

PartFile::PartFile(std::filesystem::path path, int64_t bytes)
    : path_(std::move(path)), part_(part_of(path_)), size_(bytes) {
  if (path_ == "-") {
    fd_ = STDOUT_FILENO;
    is_file_ = false;
    return;
  }
  fd_ = ::open(part_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  struct stat about = {};
  if (fd_ < 0 || fstat(fd_, &about) != 0) fail_written(part_);
  if (about.st_size < bytes) {
    fail(Errc::invalid_file,
         "{}: it has {} bytes, and the journal beside it says that {} were written: it cannot be "
         "continued; begin anew with --overwrite",
         part_.string(), about.st_size, bytes);
  }
  if (ftruncate(fd_, bytes) != 0 || lseek(fd_, 0, SEEK_END) != bytes) fail_written(part_);
}

PartFile::~PartFile() {
  if (is_file_ && fd_ >= 0) ::close(fd_);
}

void PartFile::append(std::string_view bytes) {
  size_ += static_cast<int64_t>(bytes.size());
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR) fail_written(is_file_ ? part_ : "standard output");
    bytes.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(written, 0)));
  }
}

void PartFile::overwrite(int64_t at, std::string_view bytes) {
  if (pwrite(fd_, bytes.data(), bytes.size(), at) != static_cast<ssize_t>(bytes.size())) {
    fail_written(part_);
  }
}

std::string PartFile::read(int64_t at, int64_t count) const {
  std::string bytes(static_cast<std::size_t>(count), '\0');
  const ssize_t got = pread(fd_, bytes.data(), bytes.size(), at);
  if (got < 0) fail_written(part_);
  bytes.resize(static_cast<std::size_t>(got));
  return bytes;
}

void PartFile::sync() {
  if (is_file_ && fdatasync(fd_) != 0) fail_written(part_);
}

void PartFile::finish(const std::filesystem::path& path) {
  const auto part = part_of(path);
  std::error_code error;
  if (!std::filesystem::exists(part, error)) return;  // an earlier run has got that far
  std::filesystem::rename(part, path, error);
  if (error) fail(Errc::io, "{}: {}", path.string(), error.message());
  sync_folder_of(path);
}

}  // namespace tercel::tasks
