#include "src/text/pre_tokenizer.h"
#include "src/text/unicode.h"

namespace tercel::text {
namespace {

constexpr auto kIsWhite = [](char32_t code) { return is(code, kWhite); };

// Words are runs of \w, and runs of what is neither \w nor white space.
class Whitespace final : public PreTokenizer {
 public:
  void apply(SplitText& text) const override {
    split(text.words, [&](uint32_t i) { return text.chars[i].code; });
  }
  bool apply_ascii(AsciiSplit& text) const override {
    if (text.alphabet != nullptr) return false;
    split(text.words, [&](uint32_t i) { return static_cast<unsigned char>(text.chars[i]); });
    return true;
  }
  bool cuts_at_space() const override { return true; }

 private:
  template <class CharAt>
  static void split(std::vector<IndexRange>& words, CharAt char_at) {
    std::vector<IndexRange> result;
    const auto kind = [&](uint32_t i) { return char_class(char_at(i)) & (kWord | kWhite); };
    for (const IndexRange word : words) {
      for (uint32_t i = word.begin; i < word.end;) {
        const uint32_t begin = i;
        const int first = kind(i);
        while (i < word.end && kind(i) == first) ++i;
        if (first != kWhite) result.push_back({begin, i});
      }
    }
    words = std::move(result);
  }
};

class WhitespaceSplit final : public PreTokenizer {
 public:
  void apply(SplitText& text) const override {
    split_words_at(text, SplitBehavior::removed, kIsWhite);
  }
  bool apply_ascii(AsciiSplit& text) const override {
    return split_words_at(text, SplitBehavior::removed, kIsWhite);
  }
  bool cuts_at_space() const override { return true; }
};

}  // namespace

std::unique_ptr<const PreTokenizer> make_whitespace(const Json&) {
  return std::make_unique<Whitespace>();
}

std::unique_ptr<const PreTokenizer> make_whitespace_split(const Json&) {
  return std::make_unique<WhitespaceSplit>();
}

}  // namespace tercel::text
