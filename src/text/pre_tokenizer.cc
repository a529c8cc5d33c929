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
  bool apply_ascii(AsciiSplit& text) const override {
    return std::all_of(parts_.begin(), parts_.end(),
                       [&](const auto& part) { return part->apply_ascii(text); });
  }
  bool cuts_at_space() const override { return !parts_.empty() && parts_.front()->cuts_at_space(); }

 private:
  std::vector<std::unique_ptr<const PreTokenizer>> parts_;
};

std::unique_ptr<const PreTokenizer> make_pre_tokenizer_sequence(const Json& config) {
  return std::make_unique<SequencePreTokenizer>(config);
}

constexpr StageRow<PreTokenizer> kPreTokenizers[] = {
    {"BertPreTokenizer", make_bert_pre_tokenizer},
    {"ByteLevel", make_byte_level},
    {"CharDelimiterSplit", make_char_delimiter},
    {"Digits", make_digits},
    {"FixedLength", make_fixed_length},
    {"Metaspace", make_metaspace},
    {"Punctuation", make_punctuation},
    {"Sequence", make_pre_tokenizer_sequence},
    {"Split", make_split},
    {"UnicodeScripts", make_unicode_scripts},
    {"Whitespace", make_whitespace},
    {"WhitespaceSplit", make_whitespace_split},
};

// Appends the words that the segments of one word become, some of them empty.
void merge_segments(const std::vector<Segment>& segments, SplitBehavior behavior,
                    std::vector<IndexRange>& words) {
  const auto push = [&](IndexRange range) { words.push_back(range); };
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

void split_words(std::vector<IndexRange>& words, SplitBehavior behavior, Segmenter segment) {
  std::vector<IndexRange> result;
  std::vector<Segment> segments;
  for (const IndexRange word : words) {
    segments.clear();
    segment(word, segments);
    merge_segments(segments, behavior, result);
  }
  std::erase_if(result, [](IndexRange word) { return word.begin == word.end; });
  words = std::move(result);
}

namespace {

template <class CharAt>
void split_at(std::vector<IndexRange>& words, SplitBehavior behavior,
              FunctionRef<bool(char32_t)> matches, CharAt char_at) {
  split_words(words, behavior, [&](IndexRange word, std::vector<Segment>& segments) {
    uint32_t begin = word.begin;
    for (uint32_t i = word.begin; i < word.end; ++i) {
      if (!matches(char_at(i))) continue;
      if (begin < i) segments.push_back({{begin, i}, false});
      segments.push_back({{i, i + 1}, true});
      begin = i + 1;
    }
    if (begin < word.end) segments.push_back({{begin, word.end}, false});
  });
}

}  // namespace

void split_words_at(SplitText& text, SplitBehavior behavior, FunctionRef<bool(char32_t)> matches) {
  split_at(text.words, behavior, matches, [&](uint32_t i) { return text.chars[i].code; });
}

bool split_words_at(AsciiSplit& text, SplitBehavior behavior, FunctionRef<bool(char32_t)> matches) {
  if (text.alphabet != nullptr) return false;
  split_at(text.words, behavior, matches,
           [&](uint32_t i) { return static_cast<unsigned char>(text.chars[i]); });
  return true;
}

void prepend_to_words(SplitText& text, char32_t prefix,
                      FunctionRef<bool(const AlignedChar&)> wants) {
  AlignedText chars;
  chars.reserve(text.chars.size() + text.words.size());
  for (IndexRange& word : text.words) {
    const AlignedChar& first = text.chars[word.begin];
    const auto begin = static_cast<uint32_t>(chars.size());
    if (wants(first)) chars.push_back({prefix, first.origin});
    chars.insert(chars.end(), text.chars.begin() + word.begin, text.chars.begin() + word.end);
    word = {begin, static_cast<uint32_t>(chars.size())};
  }
  text.chars = std::move(chars);
}

bool prepend_space(AsciiSplit& text) {
  if (text.has_prefix || !text.is_whole()) return false;
  text.chars.insert(text.chars.begin(), ' ');
  text.has_prefix = true;
  ++text.words[0].end;
  return true;
}

}  // namespace tercel::text
