#include "src/data/byte_stream.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "src/base/fail.h"

namespace tercel::data {
namespace {

constexpr std::size_t kBlock = std::size_t{1} << 16;
constexpr std::string_view kGzip("\x1f\x8b", 2);
constexpr std::string_view kZstd("\x28\xb5\x2f\xfd", 4);

class FileStream : public ByteStream {
 public:
  FileStream(const std::string& path, const std::atomic<bool>* cancel, std::atomic<int64_t>* read)
      : name_(shown_name(path)), cancel_(cancel), read_(read) {
    fd_ = path == "-" ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat about = {};
    if (fd_ < 0 || fstat(fd_, &about) != 0) {
      fail(errno == ENOENT ? Errc::not_found : Errc::io, "{}: {}", name_, std::strerror(errno));
    }
    if (S_ISDIR(about.st_mode)) {
      close_file();
      fail(Errc::invalid_argument, "{}: a directory; give files, or a pattern such as {}/*.jsonl",
           name_, path);
    }
    may_wait_ = !S_ISREG(about.st_mode);
    if (!may_wait_) posix_fadvise(fd_, 0, 0, POSIX_FADV_SEQUENTIAL);
  }
  ~FileStream() override { close_file(); }

  std::size_t read(std::span<char> out) override {
    std::size_t filled = 0;
    while (filled < out.size()) {
      if (may_wait_) wait();
      const ssize_t count = ::read(fd_, out.data() + filled, out.size() - filled);
      if (count == 0) break;
      if (count > 0) {
        filled += static_cast<std::size_t>(count);
        if (may_wait_) break;  // what has come is worth more than a full block
      } else if (errno != EINTR) {
        fail(Errc::io, "{}: {}", name_, std::strerror(errno));
      }
    }
    if (read_ != nullptr) *read_ += static_cast<int64_t>(filled);
    return filled;
  }

 private:
  void close_file() const {
    if (fd_ > STDIN_FILENO) ::close(fd_);
  }

  void wait() const {
    constexpr int kMilliseconds = 50;
    pollfd input = {fd_, POLLIN, 0};
    do {
      if (cancel_ != nullptr && *cancel_) fail(Errc::cancelled, "interrupted");
    } while (poll(&input, 1, kMilliseconds) <= 0);
  }

  std::string name_;
  const std::atomic<bool>* cancel_;
  std::atomic<int64_t>* read_;
  int fd_ = -1;
  bool may_wait_ = false;
};

// Gives back what was looked at to recognise the format, then the rest.
class PeekedStream : public ByteStream {
 public:
  explicit PeekedStream(std::unique_ptr<ByteStream> rest) : rest_(std::move(rest)) {
    while (size_ < start_.size()) {
      const std::size_t count = rest_->read(std::span(start_).subspan(size_));
      if (count == 0) break;
      size_ += count;
    }
  }

  std::string_view start() const { return {start_.data(), size_}; }

  std::size_t read(std::span<char> out) override {
    if (given_ == size_) return rest_->read(out);
    const std::size_t count = std::min(out.size(), size_ - given_);
    std::memcpy(out.data(), start_.data() + given_, count);
    given_ += count;
    return count;
  }

 private:
  std::unique_ptr<ByteStream> rest_;
  std::array<char, 4> start_ = {};
  std::size_t size_ = 0;
  std::size_t given_ = 0;
};

// Compressed input, a block at a time.
class CompressedInput {
 public:
  CompressedInput(std::unique_ptr<ByteStream> stream, std::string name)
      : stream_(std::move(stream)), name_(std::move(name)), block_(kBlock) {}

  // The next block; empty at the end of the file.
  std::span<char> next() { return std::span(block_).first(stream_->read(block_)); }

  [[noreturn]] void reject(std::string_view kind, std::string_view reason) const {
    fail(Errc::invalid_file, "{}: damaged {} data: {}", name_, kind, reason);
  }

 private:
  std::unique_ptr<ByteStream> stream_;
  std::string name_;
  std::vector<char> block_;
};

class GzipStream : public ByteStream {
 public:
  explicit GzipStream(CompressedInput input) : input_(std::move(input)) {
    constexpr int kGzipOnly = 16 + MAX_WBITS;
    if (inflateInit2(&state_, kGzipOnly) != Z_OK) {
      fail(Errc::out_of_memory, "gzip: the system has no memory left");
    }
  }
  ~GzipStream() override { inflateEnd(&state_); }
  GzipStream(const GzipStream&) = delete;
  GzipStream& operator=(const GzipStream&) = delete;

  std::size_t read(std::span<char> out) override {
    state_.next_out = reinterpret_cast<Bytef*>(out.data());
    state_.avail_out = static_cast<uInt>(out.size());
    while (state_.avail_out == out.size()) {
      if (state_.avail_in == 0 && !refill()) break;
      const int code = inflate(&state_, Z_NO_FLUSH);
      if (code == Z_STREAM_END) {  // a file may hold several members, one behind the other
        inside_ = state_.avail_in > 0;
        inflateReset(&state_);
      } else if (code != Z_OK && code != Z_BUF_ERROR) {
        input_.reject("gzip", state_.msg != nullptr ? state_.msg : "it cannot be unpacked");
      }
    }
    return out.size() - state_.avail_out;
  }

 private:
  bool refill() {
    const auto block = input_.next();
    if (block.empty()) {
      if (inside_) input_.reject("gzip", "it ends too early");
      return false;
    }
    state_.next_in = reinterpret_cast<Bytef*>(block.data());
    state_.avail_in = static_cast<uInt>(block.size());
    inside_ = true;
    return true;
  }

  CompressedInput input_;
  z_stream state_ = {};
  bool inside_ = false;
};

class ZstdStream : public ByteStream {
 public:
  explicit ZstdStream(CompressedInput input)
      : input_(std::move(input)), state_(ZSTD_createDStream()) {
    if (!state_) fail(Errc::out_of_memory, "zstd: the system has no memory left");
  }

  std::size_t read(std::span<char> out) override {
    ZSTD_outBuffer to = {out.data(), out.size(), 0};
    while (to.pos == 0) {
      if (from_.pos == from_.size && !has_more_) {
        const auto block = input_.next();
        if (block.empty()) {
          if (inside_) input_.reject("zstd", "it ends too early");
          break;
        }
        from_ = {block.data(), block.size(), 0};
      }
      const std::size_t code = ZSTD_decompressStream(state_.get(), &to, &from_);
      if (ZSTD_isError(code) != 0) input_.reject("zstd", ZSTD_getErrorName(code));
      inside_ = code != 0;
      has_more_ = inside_ && to.pos == to.size;  // in the decoder, with no more input needed
    }
    return to.pos;
  }

 private:
  struct Free {
    void operator()(ZSTD_DStream* state) const { ZSTD_freeDStream(state); }
  };
  CompressedInput input_;
  std::unique_ptr<ZSTD_DStream, Free> state_;
  ZSTD_inBuffer from_ = {nullptr, 0, 0};
  bool inside_ = false;
  bool has_more_ = false;
};

}  // namespace

std::string shown_name(const std::string& path) { return path == "-" ? "standard input" : path; }

std::unique_ptr<ByteStream> open_bytes(const std::string& path, const std::atomic<bool>* cancel,
                                       std::atomic<int64_t>* read) {
  auto peeked = std::make_unique<PeekedStream>(std::make_unique<FileStream>(path, cancel, read));
  const std::string_view start = peeked->start();
  if (start.starts_with(kGzip)) {
    return std::make_unique<GzipStream>(CompressedInput(std::move(peeked), shown_name(path)));
  }
  if (start.starts_with(kZstd)) {
    return std::make_unique<ZstdStream>(CompressedInput(std::move(peeked), shown_name(path)));
  }
  return peeked;
}

}  // namespace tercel::data
