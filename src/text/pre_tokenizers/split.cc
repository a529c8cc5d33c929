#include "src/text/pattern.h"
#include "src/text/pre_tokenizer.h"
#include "src/text/registry.h"

namespace tercel::text {
namespace {

class Split final : public PreTokenizer {
 public:
  explicit Split(const Json& config)
      : pattern_(config["pattern"]),
        behavior_(read_split_behavior(config["behavior"])),
        invert_(config["invert"].boolean()) {}

  void apply(SplitText& text) const override {
    PatternSearch search(pattern_);
    split_words(text.words, behavior_, [&](IndexRange word, std::vector<Segment>& segments) {
      const AlignedChar* chars = text.chars.data();
      add_segments(search.find_all(chars + word.begin, chars + word.end), word, segments);
    });
  }

  bool apply_ascii(AsciiSplit& text) const override {
    if (text.alphabet != nullptr) return false;
    PatternSearch search(pattern_);
    const std::string_view chars = text.chars;
    split_words(text.words, behavior_, [&](IndexRange word, std::vector<Segment>& segments) {
      add_segments(search.find_all(chars.substr(word.begin, word.end - word.begin)), word,
                   segments);
    });
    return true;
  }

 private:
  // The matches, which count from the word's beginning, and what is between them.
  void add_segments(const std::vector<IndexRange>& matches, IndexRange word,
                    std::vector<Segment>& segments) const {
    uint32_t done = word.begin;
    for (const IndexRange match : matches) {
      const IndexRange range{word.begin + match.begin, word.begin + match.end};
      if (done != range.begin) segments.push_back({{done, range.begin}, invert_});
      segments.push_back({range, !invert_});
      done = range.end;
    }
    if (done != word.end) segments.push_back({{done, word.end}, invert_});
  }

  TextPattern pattern_;
  SplitBehavior behavior_;
  bool invert_;
};

class CharDelimiterSplit final : public PreTokenizer {
 public:
  explicit CharDelimiterSplit(const Json& config) : delimiter_(read_char(config, "delimiter")) {}
  void apply(SplitText& text) const override {
    split_words_at(text, SplitBehavior::removed, [&](char32_t code) { return code == delimiter_; });
  }
  bool apply_ascii(AsciiSplit& text) const override {
    return split_words_at(text, SplitBehavior::removed,
                          [&](char32_t code) { return code == delimiter_; });
  }

 private:
  char32_t delimiter_;
};

}  // namespace

std::unique_ptr<const PreTokenizer> make_split(const Json& config) {
  return std::make_unique<Split>(config);
}

std::unique_ptr<const PreTokenizer> make_char_delimiter(const Json& config) {
  return std::make_unique<CharDelimiterSplit>(config);
}

}  // namespace tercel::text
