// Byte-level words (Radford et al., 2019): split by GPT-2's regular expression, and each byte
// written as a character.

#include "src/text/byte_level.h"

#include <algorithm>

#include "src/text/normalizer.h"
#include "src/text/pre_tokenizer.h"
#include "src/text/regex/regex.h"
#include "src/text/utf8.h"

namespace tercel::text {
namespace {

const Regex& gpt2_words() {
  static const Regex regex(
      R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)");
  return regex;
}

AsciiAlphabet make_alphabet() {
  AsciiAlphabet alphabet{};
  for (std::size_t c = 0; c < alphabet.size(); ++c) {
    std::string bytes;
    append_utf8(bytes, kByteLevelChars[c]);
    alphabet[c].length = static_cast<uint8_t>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), alphabet[c].bytes);
  }
  return alphabet;
}

class ByteLevel final : public PreTokenizer {
 public:
  explicit ByteLevel(const Json& config)
      : add_prefix_space_(config.boolean_or("add_prefix_space", true)),
        use_regex_(config.boolean_or("use_regex", true)) {}

  void apply(SplitText& text) const override {
    if (add_prefix_space_) {
      prepend_to_words(text, U' ', [](const AlignedChar& first) { return first.code != ' '; });
    }
    if (use_regex_) {
      const AlignedChar* chars = text.chars.data();
      split_all(
          text.words, [&](RegexSearch & search, IndexRange word) -> auto& {
            return search.find_all(chars + word.begin, chars + word.end);
          });
    }
    write_bytes(text);
  }

  bool apply_ascii(AsciiSplit& text) const override {
    static const AsciiAlphabet alphabet = make_alphabet();
    if (text.alphabet != nullptr) return false;
    const auto begins_with_space = [&](IndexRange word) { return text.chars[word.begin] == ' '; };
    if (add_prefix_space_ &&
        !std::all_of(text.words.begin(), text.words.end(), begins_with_space) &&
        !prepend_space(text)) {
      return false;
    }
    if (use_regex_) {
      const std::string_view chars = text.chars;
      split_all(
          text.words, [&](RegexSearch & search, IndexRange word) -> auto& {
            return search.find_all(chars.substr(word.begin, word.end - word.begin));
          });
    }
    text.alphabet = &alphabet;
    return true;
  }

 private:
  // The expression matches any text end to end.
  template <class FindAll>
  static void split_all(std::vector<IndexRange>& words, FindAll find_all) {
    RegexSearch search(gpt2_words());
    std::vector<IndexRange> result;
    for (const IndexRange word : words) {
      for (const IndexRange match : find_all(search, word)) {
        result.push_back({word.begin + match.begin, word.begin + match.end});
      }
    }
    words = std::move(result);
  }

  static void write_bytes(SplitText& text) {
    AlignedText chars;
    chars.reserve(text.chars.size());
    for (IndexRange& word : text.words) {
      const auto begin = static_cast<uint32_t>(chars.size());
      append_byte_level(chars, text.chars.data() + word.begin, text.chars.data() + word.end);
      word = {begin, static_cast<uint32_t>(chars.size())};
    }
    text.chars = std::move(chars);
  }

  bool add_prefix_space_;
  bool use_regex_;
};

}  // namespace

std::unique_ptr<const PreTokenizer> make_byte_level(const Json& config) {
  return std::make_unique<ByteLevel>(config);
}

}  // namespace tercel::text
