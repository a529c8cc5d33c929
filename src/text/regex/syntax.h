#pragma once
// A regular expression as a tree.

#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

#include "src/text/regex/char_set.h"

namespace tercel::text {

struct RegexNode {
  enum class Kind {
    empty,
    one_of,       // one character of `set`
    sequence,     // all parts, one after the other
    choice,       // the first part that leads to a match
    repeat,       // parts[0], min to max times
    look_ahead,   // parts[0] matches here (or, negated, does not)
    look_behind,  // the character before is in `set` (or, negated, there is none or it is not)
  };
  static constexpr uint32_t kUnbounded = std::numeric_limits<uint32_t>::max();

  Kind kind = Kind::empty;
  bool negated = false;
  bool lazy = false;
  bool nullable = true;  // can match nothing
  uint32_t set = 0;      // index in ParsedRegex::sets
  uint32_t min = 0;
  uint32_t max = 0;
  std::vector<RegexNode> parts;
};

struct ParsedRegex {
  RegexNode root;
  std::vector<CharSet> sets;  // no two are equal
};

// Reads Oniguruma's syntax, which is that of tokenizer.json. Throws Errc::invalid_file for what is
// malformed and Errc::unsupported for what cannot be matched in linear time or is not known; both
// name the place.
ParsedRegex parse_regex(std::string_view pattern);

}  // namespace tercel::text
