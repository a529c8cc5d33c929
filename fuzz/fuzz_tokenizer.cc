// tokenizer.json and text together: the input is "JSON NUL text". Both may be anything; the only
// way out but a result is a tercel::Error.

#include "fuzz/check_tokenizer.h"
#include "tercel/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = input.find('\0');
  const std::string_view json = input.substr(0, end);
  const std::string_view text = end == input.npos ? input : input.substr(end + 1);
  try {
    tercel::fuzz::check_tokenizer(tercel::Tokenizer::parse(json), text);
  } catch (const tercel::Error&) {
    return 0;
  }
  return 0;
}
