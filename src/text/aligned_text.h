#pragma once
// Text on its way through the normalizers: characters, each with the bytes of the original that it
// stands for. Removed characters take their bytes with them; inserted ones share those of a
// neighbour.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tercel/tokenizer.h"

namespace tercel::text {

// Of characters, or of bytes.
struct IndexRange {
  uint32_t begin;
  uint32_t end;
  friend bool operator==(const IndexRange&, const IndexRange&) = default;
};

struct AlignedChar {
  char32_t code;
  TextSpan origin;
};
using AlignedText = std::vector<AlignedChar>;

// `base` is the offset of `text` in the original.
void decode_into(AlignedText& result, std::string_view text, uint32_t base);

// UTF-8 of `text`, and for each of its bytes the index of the character it belongs to.
struct RenderedText {
  std::string bytes;
  std::vector<uint32_t> char_of;
  void assign(const AlignedChar* begin, const AlignedChar* end);
};

// One character of a rewritten text. change 0: takes the place of the next old character; n > 0: is
// inserted, and shares the origin of the old character before; -n: takes the place of the next one
// and removes n after it.
struct RewrittenChar {
  char32_t code;
  int change;
};
void rewrite(AlignedText& text, const std::vector<RewrittenChar>& to);

// Throws Errc::invalid_file when `chars` characters are more than a tokenizer can mean to make of
// `text`.
void check_growth(const AlignedText& text, std::size_t chars);

// Every one of `matches`, in rising order, becomes `content`, with the origin of its last
// character; where it is empty, of the character before. Throws as check_growth() does.
void replace(AlignedText& text, const std::vector<IndexRange>& matches,
             const std::u32string& content);

// Puts `prefix` before the first character, with its origin. An empty text stays empty. Throws as
// check_growth() does.
void prepend(AlignedText& text, const std::u32string& prefix);

}  // namespace tercel::text
