#include "src/text/pre_tokenizer.h"
#include "src/text/unicode.h"

namespace tercel::text {
namespace {

// Words are runs of \w, and runs of what is neither \w nor white space.
class Whitespace final : public PreTokenizer {
 public:
  void apply(SplitText& text) const override {
    std::vector<IndexRange> words;
    const auto kind = [&](uint32_t i) { return char_class(text.chars[i].code) & (kWord | kWhite); };
    for (const IndexRange word : text.words) {
      for (uint32_t i = word.begin; i < word.end;) {
        const uint32_t begin = i;
        const int first = kind(i);
        while (i < word.end && kind(i) == first) ++i;
        if (first != kWhite) words.push_back({begin, i});
      }
    }
    text.words = std::move(words);
  }
  bool cuts_at_space() const override { return true; }
};

class WhitespaceSplit final : public PreTokenizer {
 public:
  void apply(SplitText& text) const override {
    split_words_at(text, SplitBehavior::removed, [](char32_t code) { return is(code, kWhite); });
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
