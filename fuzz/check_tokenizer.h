#pragma once
// What must hold for any tokenizer and any text; aborts where it does not.

#include <cstdlib>
#include <string>
#include <string_view>

#include "tercel/tokenizer.h"

namespace tercel::fuzz {

inline void check_encoding(const Encoding& encoding, std::string_view text) {
  const CharOffsets chars(text);
  for (const TextSpan span : encoding.offsets) {
    if (span.begin > span.end || span.end > text.size()) std::abort();
    const TextSpan in_chars = chars.to_chars(span);
    if (in_chars.begin > in_chars.end) std::abort();
  }
  for (const Encoding& window : encoding.overflowing) check_encoding(window, text);
}

inline void check_tokenizer(const Tokenizer& tokenizer, std::string_view text) {
  const Encoding encoding = tokenizer.encode(text);
  check_encoding(encoding, text);
  const std::string decoded = tokenizer.decode(encoding.ids, false);
  DecodeStream stream(tokenizer, false);
  std::string streamed;
  for (const int32_t id : encoding.ids) streamed += stream.push(id);
  if (streamed + stream.finish() != decoded) std::abort();
  EncodeOptions options;
  options.truncation = {.max_length = 9, .stride = 2};
  tokenizer.encode_pair(text.substr(0, 100), text.substr(0, 100), options);
}

}  // namespace tercel::fuzz
