#pragma once
// What Split and Replace look for: {"String": "…"} or {"Regex": "…"}.

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "src/base/json.h"
#include "src/text/aligned_text.h"
#include "src/text/regex/regex.h"

namespace tercel::text {

class TextPattern {
 public:
  // Throws Errc::invalid_file or Errc::unsupported.
  explicit TextPattern(const Json& pattern);

 private:
  friend class PatternSearch;
  std::optional<char32_t> single_;  // one character needs no automaton
  std::unique_ptr<const Regex> regex_;
};

// One thread's use of a pattern; worth keeping while there are texts to search.
class PatternSearch {
 public:
  explicit PatternSearch(const TextPattern& pattern);

  // All matches, as characters (bytes, for ASCII) of the text; valid until the next call.
  const std::vector<IndexRange>& find_all(std::string_view ascii);
  const std::vector<IndexRange>& find_all(const AlignedChar* begin, const AlignedChar* end);

 private:
  std::optional<char32_t> single_;
  std::optional<RegexSearch> search_;
  std::vector<IndexRange> matches_;
};

}  // namespace tercel::text
