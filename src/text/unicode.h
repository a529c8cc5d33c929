#pragma once
// What tokenizers ask of a character. The answers are those of the `tokenizers` package, whose
// parts follow different versions of Unicode; they are utf8proc's except where
// unicode_differences.inc (made by scripts/make_unicode_tables.py) says otherwise.

#include <cstddef>
#include <cstdint>

namespace tercel::text {

enum CharClass : uint16_t {
  kWhite = 1 << 0,              // White_Space
  kPunctuation = 1 << 1,        // general category P, and all ASCII punctuation and symbols
  kOther = 1 << 2,              // controls, formats and private use, without \t \n \r
  kMark = 1 << 3,               // combining marks, as the StripAccents normalizer sees them
  kNonspacing = 1 << 4,         // non-spacing marks, as BertNormalizer sees them
  kWord = 1 << 5,               // \w of a regular expression
  kNumeric = 1 << 6,            // general category N
  kChinese = 1 << 7,            // the blocks that BERT sets between spaces
  kCased = 1 << 8,              // lowercase() changes it
  kDecomposes = 1 << 9,         // NFD changes it
  kCompatDecomposes = 1 << 10,  // NFKD changes it
  kCombining = 1 << 11,         // combining class is not 0
};

// A set of CharClass bits. Tables are made page by page when first needed.
uint16_t char_class(char32_t code);
inline bool is(char32_t code, uint16_t classes) { return (char_class(code) & classes) != 0; }

// Writes one or two characters; returns how many.
std::size_t lowercase(char32_t code, char32_t out[2]);

uint8_t combining_class(char32_t code);

// Full canonical (or compatibility) decomposition; returns how many characters.
inline constexpr std::size_t kMaxDecomposition = 32;
std::size_t decompose(char32_t code, bool compatibility, char32_t out[kMaxDecomposition]);

// The primary composite of two characters, 0 when there is none.
char32_t compose(char32_t first, char32_t second);

}  // namespace tercel::text
