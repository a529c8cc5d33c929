// tokenizer.json and text together: the input is "JSON NUL text". Both may be anything; the only
// way out but a result is a tercel::Error. Beside crashes, it checks that offsets lie in the text.

#include <cstdlib>
#include <string_view>

#include "tercel/error.h"
#include "tercel/tokenizer.h"

namespace {

void check(const tercel::Encoding& encoding, std::string_view text) {
  const tercel::CharOffsets chars(text);
  for (const tercel::TextSpan span : encoding.offsets) {
    if (span.begin > span.end || span.end > text.size()) std::abort();
    const tercel::TextSpan in_chars = chars.to_chars(span);
    if (in_chars.begin > in_chars.end) std::abort();
  }
  for (const tercel::Encoding& window : encoding.overflowing) check(window, text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = input.find('\0');
  const std::string_view json = input.substr(0, end);
  const std::string_view text = end == input.npos ? input : input.substr(end + 1);
  try {
    const auto tokenizer = tercel::Tokenizer::parse(json);
    const tercel::Encoding encoding = tokenizer.encode(text);
    check(encoding, text);
    tokenizer.decode(encoding.ids, false);
    tercel::EncodeOptions options;
    options.truncation = {.max_length = 9, .stride = 2};
    tokenizer.encode_pair(text.substr(0, 100), text.substr(0, 100), options);
  } catch (const tercel::Error&) {
    return 0;
  }
  return 0;
}
