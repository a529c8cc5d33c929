#include <algorithm>
#include <cstring>

#include "src/base/fail.h"
#include "src/text/utf8.h"
#include "tercel/tokenizer.h"

namespace tercel {
namespace text {

bool is_ascii(std::string_view text) {
  const char* at = text.data();
  const char* const end = at + text.size();
  uint64_t seen = 0;
  for (; end - at >= 8; at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, at, 8);
    seen |= word;
  }
  for (; at < end; ++at) seen |= static_cast<unsigned char>(*at);
  return (seen & 0x8080808080808080ULL) == 0;
}

std::u32string to_utf32(std::string_view text) {
  std::u32string result;
  while (!text.empty()) {
    const CodePoint next = decode_first(text);
    result.push_back(next.code);
    text.remove_prefix(next.length);
  }
  return result;
}

}  // namespace text

namespace {
constexpr std::size_t kBlock = 64;
}

CharOffsets::CharOffsets(std::string_view text) : text_(text) {
  if (text.size() >= std::numeric_limits<uint32_t>::max()) {
    fail(Errc::invalid_argument, "the text has {} bytes; at most 4 GiB can be read: split it",
         text.size());
  }
  if (text::is_ascii(text)) return;
  marks_.reserve(text.size() / kBlock + 2);
  uint32_t chars = 0;
  std::size_t next_block = 0;
  for (std::size_t at = 0; at < text.size(); ++chars) {
    if (at >= next_block) {
      marks_.push_back({static_cast<uint32_t>(at), chars});
      next_block = (at / kBlock + 1) * kBlock;
    }
    at += text::decode_first(text.substr(at)).length;
  }
  marks_.push_back({static_cast<uint32_t>(text.size()), chars});
}

uint32_t CharOffsets::chars_before(uint32_t byte) const {
  const uint32_t limit = std::min<uint32_t>(byte, static_cast<uint32_t>(text_.size()));
  if (marks_.empty()) return limit;
  auto mark = std::upper_bound(marks_.begin(), marks_.end(), limit,
                               [](uint32_t value, const Mark& m) { return value < m.byte; });
  --mark;  // the first mark is at byte 0
  uint32_t chars = mark->chars;
  for (std::size_t at = mark->byte; at < limit; ++chars) {
    at += text::decode_first(text_.substr(at)).length;
  }
  return chars;
}

uint32_t CharOffsets::byte_of(uint32_t index) const {
  if (marks_.empty()) return std::min<uint32_t>(index, static_cast<uint32_t>(text_.size()));
  auto mark = std::upper_bound(marks_.begin(), marks_.end(), index,
                               [](uint32_t value, const Mark& m) { return value < m.chars; });
  --mark;
  std::size_t at = mark->byte;
  for (uint32_t chars = mark->chars; chars < index && at < text_.size(); ++chars) {
    at += text::decode_first(text_.substr(at)).length;
  }
  return static_cast<uint32_t>(at);
}

}  // namespace tercel
