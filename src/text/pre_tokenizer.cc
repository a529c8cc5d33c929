#include "src/text/pre_tokenizer.h"

#include <algorithm>

#include "src/text/registry.h"

namespace tercel::text {
namespace {

class SequencePreTokenizer final : public PreTokenizer {
 public:
  explicit SequencePreTokenizer(const Json& config) {
    config["pretokenizers"].for_each(
        [&](const Json& part) { parts_.push_back(make_pre_tokenizer(part)); });
  }
  void apply(SplitText& text) const override {
    for (const auto& part : parts_) part->apply(text);
  }
  bool cuts_at_space() const override { return !parts_.empty() && parts_.front()->cuts_at_space(); }

 private:
  std::vector<std::unique_ptr<const PreTokenizer>> parts_;
};

std::unique_ptr<const PreTokenizer> make_sequence(const Json& config) {
  return std::make_unique<SequencePreTokenizer>(config);
}

constexpr StageRow<PreTokenizer> kPreTokenizers[] = {
    {"BertPreTokenizer", make_bert_pre_tokenizer},
    {"CharDelimiterSplit", make_char_delimiter},
    {"Digits", make_digits},
    {"Metaspace", make_metaspace},
    {"Punctuation", make_punctuation},
    {"Sequence", make_sequence},
    {"Split", make_split},
    {"Whitespace", make_whitespace},
    {"WhitespaceSplit", make_whitespace_split},
};

// Appends the words that the segments of one word become.
void merge_segments(const std::vector<Segment>& segments, SplitBehavior behavior,
                    std::vector<IndexRange>& words) {
  const auto push = [&](IndexRange range) {
    if (range.begin != range.end) words.push_back(range);
  };
  const std::size_t first_word = words.size();
  switch (behavior) {
    case SplitBehavior::removed:
      for (const Segment& s : segments) {
        if (!s.is_match) push(s.range);
      }
      return;
    case SplitBehavior::isolated:
      for (const Segment& s : segments) push(s.range);
      return;
    case SplitBehavior::contiguous:
    case SplitBehavior::merged_with_previous: {
      bool previous = false;
      for (const Segment& s : segments) {
        const bool joins = behavior == SplitBehavior::contiguous ? s.is_match == previous
                                                                 : s.is_match && !previous;
        if (joins && words.size() > first_word) {
          words.back().end = s.range.end;
        } else {
          push(s.range);
        }
        previous = s.is_match;
      }
      return;
    }
    case SplitBehavior::merged_with_next: {
      bool next = false;
      for (auto s = segments.rbegin(); s != segments.rend(); ++s) {
        if (s->is_match && !next && words.size() > first_word) {
          words.back().begin = s->range.begin;
        } else {
          push(s->range);
        }
        next = s->is_match;
      }
      std::reverse(words.begin() + static_cast<std::ptrdiff_t>(first_word), words.end());
      return;
    }
  }
}

}  // namespace

std::unique_ptr<const PreTokenizer> make_pre_tokenizer(const Json& config) {
  return find_stage<PreTokenizer>(kPreTokenizers, "pre-tokenizer", config["type"].string())
      .make(config);
}

SplitBehavior read_split_behavior(const Json& behavior) {
  const std::string_view name = behavior.string();
  if (name == "Removed") return SplitBehavior::removed;
  if (name == "Isolated") return SplitBehavior::isolated;
  if (name == "MergedWithPrevious") return SplitBehavior::merged_with_previous;
  if (name == "MergedWithNext") return SplitBehavior::merged_with_next;
  if (name == "Contiguous") return SplitBehavior::contiguous;
  behavior.reject("Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
}

void split_words(SplitText& text, SplitBehavior behavior, Segmenter segment) {
  std::vector<IndexRange> words;
  words.reserve(text.words.size() + text.chars.size() / 4);
  std::vector<Segment> segments;
  for (const IndexRange word : text.words) {
    segments.clear();
    segment(text.chars, word, segments);
    merge_segments(segments, behavior, words);
  }
  text.words = std::move(words);
}

void split_words_at(SplitText& text, SplitBehavior behavior, FunctionRef<bool(char32_t)> matches) {
  split_words(text, behavior,
              [&](const AlignedText& chars, IndexRange word, std::vector<Segment>& segments) {
                uint32_t begin = word.begin;
                for (uint32_t i = word.begin; i < word.end; ++i) {
                  if (!matches(chars[i].code)) continue;
                  if (begin < i) segments.push_back({{begin, i}, false});
                  segments.push_back({{i, i + 1}, true});
                  begin = i + 1;
                }
                if (begin < word.end) segments.push_back({{begin, word.end}, false});
              });
}

}  // namespace tercel::text
