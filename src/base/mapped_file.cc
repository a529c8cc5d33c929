#include "src/base/mapped_file.h"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <map>
#include <mutex>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/fail.h"

namespace tercel {
namespace {

struct Mappings {
  std::mutex mutex;
  std::map<std::uintptr_t, std::uintptr_t> ends;  // by begin
};

Mappings& mappings() {
  static Mappings all;
  return all;
}

std::uintptr_t address(const std::byte* data) { return reinterpret_cast<std::uintptr_t>(data); }

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::open(const std::filesystem::path& path) {
  // O_NONBLOCK: a FIFO named as a model must not hang the process.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    if (errno == ENOENT || errno == ENOTDIR) {
      fail(Errc::not_found, "{}: no such file; check the path", path.string());
    }
    fail(Errc::io, "{}: cannot be opened: {}", path.string(), std::strerror(errno));
  }
  struct Closer {
    int fd;
    ~Closer() { ::close(fd); }
  } closer{fd};

  struct stat info {};
  if (::fstat(fd, &info) != 0) fail(Errc::io, "{}: {}", path.string(), std::strerror(errno));
  if (!S_ISREG(info.st_mode)) {
    fail(Errc::invalid_file, "{}: is not a regular file; give the path of a file", path.string());
  }
  std::shared_ptr<MappedFile> file(new MappedFile());
  file->path_ = path;
  file->size_ = static_cast<std::size_t>(info.st_size);
  if (file->size_ > 0) {
    void* data = ::mmap(nullptr, file->size_, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) {
      file->size_ = 0;
      fail(Errc::io, "{}: cannot be mapped: {}", path.string(), std::strerror(errno));
    }
    file->data_ = static_cast<const std::byte*>(data);
    Mappings& all = mappings();
    const std::lock_guard lock(all.mutex);
    all.ends.emplace(address(file->data_), address(file->data_ + file->size_));
  }
  return file;
}

MappedFile::~MappedFile() {
  if (data_ == nullptr) return;
  Mappings& all = mappings();
  const std::lock_guard lock(all.mutex);
  all.ends.erase(address(data_));
  ::munmap(const_cast<std::byte*>(data_), size_);
}

void release_if_mapped(std::span<const std::byte> part) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = (address(part.data()) + page - 1) / page * page;
  const auto end = address(part.data() + part.size()) / page * page;
  if (begin >= end) return;
  Mappings& all = mappings();
  const std::lock_guard lock(all.mutex);
  const auto behind = all.ends.upper_bound(begin);
  if (behind == all.ends.begin() || end > std::prev(behind)->second) return;
  ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

std::string read_text_file(const std::filesystem::path& path, std::size_t limit) {
  const auto file = MappedFile::open(path);
  const auto bytes = file->bytes();
  if (bytes.size() > limit) {
    fail(Errc::invalid_file, "{}: {} bytes; at most {} are read", path.string(), bytes.size(),
         limit);
  }
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace tercel
