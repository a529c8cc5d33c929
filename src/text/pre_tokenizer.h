#pragma once
// Pre-tokenizers split normalized text into words. One file per kind in pre_tokenizers/, one row
// each in pre_tokenizer.cc.

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "src/base/function_ref.h"
#include "src/base/json.h"
#include "src/text/aligned_text.h"

namespace tercel::text {

struct IndexRange {
  uint32_t begin;
  uint32_t end;
};

// Text and its words so far: ranges of characters in rising order, none empty.
struct SplitText {
  AlignedText chars;
  std::vector<IndexRange> words;
};

// What becomes of the delimiter that splits a text.
enum class SplitBehavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  virtual void apply(SplitText& text) const = 0;
  // The fast path for pure ASCII: appends the words' byte ranges. Called only if has_ascii_path().
  virtual bool has_ascii_path() const { return false; }
  virtual void split_ascii(std::string_view ascii, std::vector<IndexRange>& words) const {
    static_cast<void>(ascii);
    static_cast<void>(words);
  }
  // Whether text may be cut after an ASCII space, and its parts split one by one.
  virtual bool cuts_at_space() const { return false; }
};

std::unique_ptr<const PreTokenizer> make_pre_tokenizer(const Json& config);

std::unique_ptr<const PreTokenizer> make_bert_pre_tokenizer(const Json& config);
std::unique_ptr<const PreTokenizer> make_digits(const Json& config);
std::unique_ptr<const PreTokenizer> make_metaspace(const Json& config);
std::unique_ptr<const PreTokenizer> make_punctuation(const Json& config);
std::unique_ptr<const PreTokenizer> make_char_delimiter(const Json& config);
std::unique_ptr<const PreTokenizer> make_split(const Json& config);
std::unique_ptr<const PreTokenizer> make_whitespace(const Json& config);
std::unique_ptr<const PreTokenizer> make_whitespace_split(const Json& config);

// {"behavior": "Removed" | "Isolated" | …}, as the file writes it.
SplitBehavior read_split_behavior(const Json& behavior);

struct Segment {
  IndexRange range;
  bool is_match;
};
// Splits each word into segments, in order and without gaps, and applies the behavior to them.
using Segmenter =
    FunctionRef<void(const AlignedText& chars, IndexRange word, std::vector<Segment>& segments)>;
void split_words(SplitText& text, SplitBehavior behavior, Segmenter segment);

// Every character that `matches` is a segment of its own.
void split_words_at(SplitText& text, SplitBehavior behavior, FunctionRef<bool(char32_t)> matches);

}  // namespace tercel::text
