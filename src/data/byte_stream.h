#pragma once
// Bytes of a file, a pipe, or what gzip or zstd made of them, one after the other.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace tercel::data {

class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // Fills `out` as far as the stream goes; 0 only at its end. Throws Errc::io, Errc::cancelled, or
  // Errc::invalid_file when compressed data is damaged or ends too early.
  virtual std::size_t read(std::span<char> out) = 0;
};

// `path`: a file, a named pipe, or "-" for standard input. gzip and zstd are recognised by their
// first bytes. `cancel` may be null, and so may `read`, which is raised by the bytes of the file
// that were read. Throws Errc::not_found and Errc::io.
std::unique_ptr<ByteStream> open_bytes(const std::string& path, const std::atomic<bool>* cancel,
                                       std::atomic<int64_t>* read = nullptr);

// "standard input" for "-".
std::string shown_name(const std::string& path);

}  // namespace tercel::data
