#pragma once
// The characters of a pattern, and what an escape means.

#include <string>
#include <string_view>

#include <fmt/format.h>

#include "src/base/fail.h"
#include "src/text/regex/char_set.h"

namespace tercel::text {

class PatternReader {
 public:
  // Throws Errc::unsupported when the pattern is too long.
  explicit PatternReader(std::string_view pattern);

  bool at_end() const { return at_ == text_.size(); }
  std::size_t position() const { return at_; }
  char32_t peek() const { return at_end() ? U'\0' : text_[at_]; }
  bool starts_with(std::u32string_view prefix) const {
    return std::u32string_view(text_).substr(at_).starts_with(prefix);
  }
  bool accept(std::u32string_view prefix);
  char32_t next();  // throws at the end
  void rewind(std::size_t position) { at_ = position; }
  // Everything before `end`, which is skipped. Throws when it is not there.
  std::string until(char32_t end);
  // Digits of the base at this place, at most `most` of them; their number is added to `digits`.
  char32_t number(uint32_t base, std::size_t most, std::size_t& digits);

  // What follows a backslash that was read: a class (\s, \p{L}) or one character.
  struct Escape {
    bool is_class;
    CharSet set;    // of a class
    char32_t code;  // of a character
  };
  Escape read_escape();

  [[noreturn]] void malformed(std::size_t position, std::string_view why) const;
  [[noreturn]] void unsupported(std::size_t position, std::string_view why) const;

 private:
  [[noreturn]] void refuse(Errc code, std::size_t position, std::string_view why) const;
  CharSet read_property(bool negated);
  char32_t read_code(std::size_t start, uint32_t base, std::size_t most);

  std::string pattern_;
  std::u32string text_;
  std::size_t at_ = 0;
};

// [a-z&&[^aeiou]], whose '[' was read. With `any_case`, characters that differ by case are in too.
CharSet read_bracket_class(PatternReader& reader, bool any_case);

}  // namespace tercel::text
