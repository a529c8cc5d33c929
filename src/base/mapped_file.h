#pragma once
// A file mapped read-only into memory: weights are used where they lie, and pages that nobody
// touches cost nothing.

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace tercel {

class MappedFile {
 public:
  // Throws Errc::not_found when the file does not exist, Errc::io when it is not a regular file or
  // cannot be read. An empty file gives empty bytes().
  static std::shared_ptr<const MappedFile> open(const std::filesystem::path& path);

  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  const std::filesystem::path& path() const { return path_; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  MappedFile() = default;

  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// Tells the system that `part` will not be read again soon. Where it is of a MappedFile its pages
// leave the process's resident memory (they stay in the page cache); reading it again is correct,
// and slower once. Other memory is left as it is.
void release_if_mapped(std::span<const std::byte> part);

// The whole of a small text file. Throws as MappedFile::open does, and Errc::invalid_file when the
// file is larger than `limit` bytes.
std::string read_text_file(const std::filesystem::path& path,
                           std::size_t limit = std::size_t{1} << 30);

}  // namespace tercel
