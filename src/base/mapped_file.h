#pragma once
// A file mapped read-only into memory: weights are used where they lie, and pages that nobody
// touches cost nothing.

#include <cstddef>
#include <cstdint>
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
  friend class PieceReader;
  MappedFile() = default;

  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  uint64_t device_ = 0;  // with the inode: which file it is, wherever `path_` leads later
  uint64_t inode_ = 0;
};

// Copies pieces of `bytes` that are read once, from any number of threads. Where they are many, of
// a mapped file that is still at its path, the system reads them from there: that is faster than
// touching page by page, and no page becomes a part of the process's memory.
class PieceReader {
 public:
  // `bytes` must outlive the reader.
  explicit PieceReader(std::span<const std::byte> bytes);
  ~PieceReader();
  PieceReader(const PieceReader&) = delete;
  PieceReader& operator=(const PieceReader&) = delete;

  bool reads_file() const { return fd_ >= 0; }
  // The bytes from `at` on, as many as `to` takes. Throws Errc::io when reading fails or the file
  // has become shorter.
  void read(std::size_t at, std::span<std::byte> to) const;

 private:
  std::span<const std::byte> bytes_;
  std::filesystem::path path_;
  int fd_ = -1;
  std::size_t offset_ = 0;  // of `bytes_` in the file
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
