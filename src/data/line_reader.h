#pragma once
// Lines of a stream, however long.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/function_ref.h"
#include "src/data/byte_stream.h"

namespace tercel::data {

class LineReader {
 public:
  LineReader(std::unique_ptr<ByteStream> stream, std::size_t limit)
      : stream_(std::move(stream)), limit_(limit), block_(kBlock) {}

  // Appends the next line, with the "\n" that ends it, to `line`; false at the end. Once `line`
  // has reached the limit the rest is passed over, and false is in whole(). `see` is shown all of
  // it, piece by piece. A byte order mark at the beginning of the stream is left out.
  bool next(std::string& line, FunctionRef<void(std::string_view)> see);
  bool next(std::string& line) {
    return next(line, [](std::string_view) {});
  }
  bool whole() const { return whole_; }
  int64_t number() const { return number_; }  // of the line that next() gave last, from 1

 private:
  static constexpr std::size_t kBlock = std::size_t{1} << 18;
  bool refill();
  void keep(std::string& line, std::string_view bytes);

  std::unique_ptr<ByteStream> stream_;
  std::size_t limit_;
  std::vector<char> block_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  int64_t number_ = 0;
  bool started_ = false;
  bool whole_ = true;
};

// Without "\n" or "\r\n" at its end.
void trim_line_end(std::string& line);

}  // namespace tercel::data
