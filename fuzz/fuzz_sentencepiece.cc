// A SentencePiece model and text together: the input is "text NUL model". Both may be anything; the
// only way out but a result is a tercel::Error.

#include "fuzz/check_tokenizer.h"
#include "tercel/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = input.find('\0');
  if (end == input.npos) return 0;
  try {
    tercel::fuzz::check_tokenizer(tercel::Tokenizer::parse_sentencepiece(input.substr(end + 1)),
                                  input.substr(0, end));
  } catch (const tercel::Error&) {
    return 0;
  }
  return 0;
}
