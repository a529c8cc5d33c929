#include "src/data/line_reader.h"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace tercel::data {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

}  // namespace

bool LineReader::refill() {
  begin_ = 0;
  end_ = stream_->read(block_);
  while (!started_ && end_ < kByteOrderMark.size()) {
    const std::size_t count = stream_->read(std::span(block_).subspan(end_));
    if (count == 0) break;
    end_ += count;
  }
  if (!started_ && std::string_view(block_.data(), end_).starts_with(kByteOrderMark)) {
    begin_ = kByteOrderMark.size();
  }
  started_ = true;
  return begin_ < end_;
}

void LineReader::keep(std::string& line, std::string_view bytes) {
  const std::size_t room = limit_ - std::min(limit_, line.size());
  if (bytes.size() > room) whole_ = false;
  line.append(bytes.substr(0, room));
  begin_ += bytes.size();
}

bool LineReader::next(std::string& line, FunctionRef<void(std::string_view)> see) {
  whole_ = true;
  bool found = false;
  while (begin_ < end_ || refill()) {
    found = true;
    const char* from = block_.data() + begin_;
    const auto* newline = static_cast<const char*>(std::memchr(from, '\n', end_ - begin_));
    const char* to = newline != nullptr ? newline + 1 : block_.data() + end_;
    const std::string_view bytes(from, static_cast<std::size_t>(to - from));
    see(bytes);
    keep(line, bytes);
    if (newline != nullptr) break;
  }
  if (found) ++number_;
  return found;
}

void trim_line_end(std::string& line) {
  if (line.ends_with('\n')) line.pop_back();
  if (line.ends_with('\r')) line.pop_back();
}

}  // namespace tercel::data
