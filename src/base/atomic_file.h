#pragma once
// A file written beside its place and moved there when complete: a failed write leaves what was
// there before, and readers that have the old file mapped keep it.

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

namespace tercel {

class AtomicFile {
 public:
  // Throws Errc::io when the folder cannot be written to.
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();  // removes what was written unless commit() was called
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  // Throw Errc::io, with the system's reason.
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  void pad_to(std::size_t alignment);  // zeros up to a multiple of `alignment`
  void commit();

  std::size_t size() const { return size_; }

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  std::size_t size_ = 0;
  int fd_ = -1;
};

}  // namespace tercel
