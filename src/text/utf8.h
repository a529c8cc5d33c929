#pragma once
// UTF-8, one character at a time. Ill-formed bytes are read as the Unicode standard recommends
// (section 3.9, "maximal subpart"): each maximal ill-formed subsequence is one U+FFFD.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tercel::text {

inline constexpr char32_t kReplacement = 0xFFFD;

struct CodePoint {
  char32_t code;
  uint32_t length;  // bytes, at least 1
};

// The character at the beginning of `text`, which must not be empty.
inline CodePoint decode_first(std::string_view text) {
  const auto byte = [&](std::size_t i) -> uint32_t { return static_cast<unsigned char>(text[i]); };
  const uint32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xC2 || lead > 0xF4) return {kReplacement, 1};
  const uint32_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  // The second byte's range excludes overlong forms, surrogates and what lies beyond U+10FFFF.
  uint32_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  uint32_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  char32_t code = lead & (0x7FU >> length);
  for (uint32_t i = 1; i < length; ++i) {
    if (i >= text.size() || byte(i) < low || byte(i) > high) return {kReplacement, i};
    code = (code << 6) | (byte(i) & 0x3F);
    low = 0x80;
    high = 0xBF;
  }
  return {code, length};
}

// The character at the end of `text`, which must not be empty.
inline CodePoint decode_last(std::string_view text) {
  const std::size_t reach = text.size() < 4 ? text.size() : 4;
  for (std::size_t back = 1; back <= reach; ++back) {
    if ((static_cast<unsigned char>(text[text.size() - back]) & 0xC0) == 0x80) continue;
    const CodePoint last = decode_first(text.substr(text.size() - back));
    if (last.length == back) return last;
    break;
  }
  return {kReplacement, 1};
}

inline void append_utf8(std::string& text, char32_t code) {
  if (code < 0x80) {
    text.push_back(static_cast<char>(code));
    return;
  }
  if (code < 0x800) {
    text.push_back(static_cast<char>(0xC0 | (code >> 6)));
  } else {
    if (code < 0x10000) {
      text.push_back(static_cast<char>(0xE0 | (code >> 12)));
    } else {
      text.push_back(static_cast<char>(0xF0 | (code >> 18)));
      text.push_back(static_cast<char>(0x80 | ((code >> 12) & 0x3F)));
    }
    text.push_back(static_cast<char>(0x80 | ((code >> 6) & 0x3F)));
  }
  text.push_back(static_cast<char>(0x80 | (code & 0x3F)));
}

// Whether all bytes are below 0x80.
bool is_ascii(std::string_view text);

// The code points of a (short) text.
std::u32string to_utf32(std::string_view text);

}  // namespace tercel::text
