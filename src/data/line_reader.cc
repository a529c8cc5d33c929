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

void LineReader::keep(std::string& line, std::size_t count) {
  const std::size_t room = limit_ - std::min(limit_, line.size());
  if (count > room) whole_ = false;
  line.append(block_.data() + begin_, std::min(count, room));
  begin_ += count;
}

bool LineReader::next(std::string& line) {
  whole_ = true;
  bool found = false;
  while (begin_ < end_ || refill()) {
    found = true;
    const char* from = block_.data() + begin_;
    const auto* newline = static_cast<const char*>(std::memchr(from, '\n', end_ - begin_));
    if (newline != nullptr) {
      keep(line, static_cast<std::size_t>(newline - from) + 1);
      break;
    }
    keep(line, end_ - begin_);
  }
  if (found) ++number_;
  return found;
}

void trim_line_end(std::string& line) {
  if (line.ends_with('\n')) line.pop_back();
  if (line.ends_with('\r')) line.pop_back();
}

}  // namespace tercel::data
