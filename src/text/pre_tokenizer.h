#pragma once
// Pre-tokenizers split normalized text into words. One file per kind in pre_tokenizers/, one row
// each in pre_tokenizer.cc.

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "src/base/function_ref.h"
#include "src/base/json.h"
#include "src/text/aligned_text.h"

namespace tercel::text {

// Text and its words so far: ranges of characters in rising order, none empty.
struct SplitText {
  AlignedText chars;
  std::vector<IndexRange> words;
};

// What each ASCII character is to the model: UTF-8 of one character.
struct AsciiGlyph {
  uint8_t length;
  char bytes[3];
};
using AsciiAlphabet = std::array<AsciiGlyph, 128>;

// The same for pure ASCII, on the fast path; words are ranges of bytes.
struct AsciiSplit {
  std::string chars;
  std::vector<IndexRange> words;
  bool is_start = false;    // of the whole text
  bool has_prefix = false;  // the first character was put there, and has the origin of the second
  // What the words' characters have become; null: themselves.
  const AsciiAlphabet* alphabet = nullptr;

  bool is_whole() const {
    return words.size() == 1 && words[0].begin == 0 && words[0].end == chars.size();
  }
};

// What becomes of the delimiter that splits a text.
enum class SplitBehavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  virtual void apply(SplitText& text) const = 0;
  // The fast path. After false, which says that there is none for this text, `text` is void.
  virtual bool apply_ascii(AsciiSplit& text) const {
    static_cast<void>(text);
    return false;
  }
  // Whether text may be cut after an ASCII space, and its parts split one by one.
  virtual bool cuts_at_space() const { return false; }
};

std::unique_ptr<const PreTokenizer> make_pre_tokenizer(const Json& config);

std::unique_ptr<const PreTokenizer> make_bert_pre_tokenizer(const Json& config);
std::unique_ptr<const PreTokenizer> make_byte_level(const Json& config);
std::unique_ptr<const PreTokenizer> make_digits(const Json& config);
std::unique_ptr<const PreTokenizer> make_fixed_length(const Json& config);
std::unique_ptr<const PreTokenizer> make_metaspace(const Json& config);
std::unique_ptr<const PreTokenizer> make_punctuation(const Json& config);
std::unique_ptr<const PreTokenizer> make_char_delimiter(const Json& config);
std::unique_ptr<const PreTokenizer> make_split(const Json& config);
std::unique_ptr<const PreTokenizer> make_unicode_scripts(const Json& config);
std::unique_ptr<const PreTokenizer> make_whitespace(const Json& config);
std::unique_ptr<const PreTokenizer> make_whitespace_split(const Json& config);

// {"behavior": "Removed" | "Isolated" | …}, as the file writes it.
SplitBehavior read_split_behavior(const Json& behavior);

struct Segment {
  IndexRange range;
  bool is_match;
};
// Splits each word into segments, in order and without gaps, and applies the behavior to them.
using Segmenter = FunctionRef<void(IndexRange word, std::vector<Segment>& segments)>;
void split_words(std::vector<IndexRange>& words, SplitBehavior behavior, Segmenter segment);

// Every character that `matches` is a segment of its own.
void split_words_at(SplitText& text, SplitBehavior behavior, FunctionRef<bool(char32_t)> matches);
// The same; false when the characters are not themselves any more.
bool split_words_at(AsciiSplit& text, SplitBehavior behavior, FunctionRef<bool(char32_t)> matches);

// Puts `prefix` before each word that `wants` it, with the origin of the word's first character.
void prepend_to_words(SplitText& text, char32_t prefix,
                      FunctionRef<bool(const AlignedChar&)> wants);
// Puts a space, which the alphabet writes, before a text that is one word. False when it is not.
bool prepend_space(AsciiSplit& text);

}  // namespace tercel::text
