#include <algorithm>

#include "src/text/pre_tokenizer.h"
#include "src/text/registry.h"

namespace tercel::text {
namespace {

class Split final : public PreTokenizer {
 public:
  explicit Split(const Json& config)
      : pattern_(read_string_pattern(config, "Split pre-tokenizer's")),
        behavior_(read_split_behavior(config["behavior"])),
        invert_(config["invert"].boolean()) {}

  void apply(SplitText& text) const override {
    const auto equal = [](const AlignedChar& a, char32_t b) { return a.code == b; };
    split_words(
        text, behavior_,
        [&](const AlignedText& chars, IndexRange word, std::vector<Segment>& segments) {
          const auto end = chars.begin() + word.end;
          auto at = chars.begin() + word.begin;
          const auto index = [&](auto i) { return static_cast<uint32_t>(i - chars.begin()); };
          while (at != end) {
            const auto match = std::search(at, end, pattern_.begin(), pattern_.end(), equal);
            if (at != match) segments.push_back({{index(at), index(match)}, invert_});
            if (match == end) return;
            at = match + static_cast<std::ptrdiff_t>(pattern_.size());
            segments.push_back({{index(match), index(at)}, !invert_});
          }
        });
  }

 private:
  std::u32string pattern_;
  SplitBehavior behavior_;
  bool invert_;
};

class CharDelimiterSplit final : public PreTokenizer {
 public:
  explicit CharDelimiterSplit(const Json& config) : delimiter_(read_char(config, "delimiter")) {}
  void apply(SplitText& text) const override {
    split_words_at(text, SplitBehavior::removed, [&](char32_t code) { return code == delimiter_; });
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
