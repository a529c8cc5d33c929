#include "src/base/mapped_file.h"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <functional>
#include <iterator>
#include <map>
#include <mutex>
#include <shared_mutex>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/fail.h"

namespace tercel {
namespace {

// O_NONBLOCK: a FIFO named as a model must not hang the process.
int open_to_read(const std::filesystem::path& path) {
  return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

// Every mapping of the process, by where it begins.
struct Mappings {
  std::shared_mutex mutex;
  std::map<const std::byte*, const MappedFile*, std::less<>> files;
};
Mappings& mappings() {
  static auto* const kAll = new Mappings();
  return *kAll;
}

// The file that `part` lies in, or null; the caller holds the mutex.
const MappedFile* mapping_around(std::span<const std::byte> part) {
  const auto behind = mappings().files.upper_bound(part.data());
  if (behind == mappings().files.begin()) return nullptr;
  const MappedFile* file = std::prev(behind)->second;
  const std::span<const std::byte> bytes = file->bytes();
  return part.data() + part.size() <= bytes.data() + bytes.size() ? file : nullptr;
}

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::open(const std::filesystem::path& path) {
  const int fd = open_to_read(path);
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
    file->device_ = info.st_dev;
    file->inode_ = info.st_ino;
    const std::lock_guard lock(mappings().mutex);
    mappings().files.emplace(file->data_, file.get());
  }
  return file;
}

MappedFile::~MappedFile() {
  if (data_ == nullptr) return;
  {
    const std::lock_guard lock(mappings().mutex);
    mappings().files.erase(data_);
  }
  ::munmap(const_cast<std::byte*>(data_), size_);
}

void release_if_mapped(std::span<const std::byte> part) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<std::uintptr_t>(part.data()) + page - 1) / page * page;
  const auto end = reinterpret_cast<std::uintptr_t>(part.data() + part.size()) / page * page;
  if (begin >= end) return;
  const std::shared_lock lock(mappings().mutex);
  if (mapping_around(part) == nullptr) return;
  ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

PieceReader::PieceReader(std::span<const std::byte> bytes) : bytes_(bytes) {
  constexpr std::size_t kWorthOpening = std::size_t{1} << 20;
  if (bytes.size() < kWorthOpening) return;
  const std::shared_lock lock(mappings().mutex);
  const MappedFile* file = mapping_around(bytes);
  if (file == nullptr) return;
  const int fd = open_to_read(file->path_);
  if (fd < 0) return;
  struct stat info {};
  if (::fstat(fd, &info) != 0 || info.st_dev != file->device_ || info.st_ino != file->inode_) {
    ::close(fd);
    return;
  }
  fd_ = fd;
  path_ = file->path_;
  offset_ = static_cast<std::size_t>(bytes.data() - file->data_);
}

PieceReader::~PieceReader() {
  if (fd_ >= 0) ::close(fd_);
}

void PieceReader::read(std::size_t at, std::span<std::byte> to) const {
  if (fd_ < 0) {
    if (!to.empty()) std::memcpy(to.data(), bytes_.data() + at, to.size());
    return;
  }
  for (std::size_t done = 0; done < to.size();) {
    const ssize_t got =
        ::pread(fd_, to.data() + done, to.size() - done, static_cast<off_t>(offset_ + at + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(Errc::io, "{}: cannot be read: {}", path_.string(), std::strerror(errno));
    if (got == 0) fail(Errc::io, "{}: has become shorter while it was read", path_.string());
    done += static_cast<std::size_t>(got);
  }
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
