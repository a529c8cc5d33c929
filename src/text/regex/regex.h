#pragma once
// Regular expressions of tokenizers, with Oniguruma's syntax and the matches that it finds, in
// linear time: see automaton.h.
//
// There is no backreference, \G, \K, \R or \X; lookbehind sees one character; possessive
// quantifiers and atomic groups hold one class or character. Without regard to case, a character
// that equals several others ("ß", "ss") is refused. Sets of characters are those of Unicode 16.

#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "src/text/aligned_text.h"
#include "src/text/regex/automaton.h"
#include "src/text/regex/program.h"

namespace tercel::text {

// May be used from many threads.
class Regex {
 public:
  // Throws Errc::invalid_file or Errc::unsupported with the place in the pattern.
  explicit Regex(std::string_view pattern);
  Regex(const Regex&) = delete;
  Regex& operator=(const Regex&) = delete;

 private:
  friend class RegexSearch;
  std::unique_ptr<Automaton> lease() const;
  void give_back(std::unique_ptr<Automaton> automaton) const noexcept;

  Program program_;
  mutable std::mutex mutex_;
  struct Idle {
    std::thread::id last;  // that used it, in whose caches it is
    std::unique_ptr<Automaton> automaton;
  };
  mutable std::vector<Idle> idle_;
};

// One thread's use of a Regex; worth keeping while there are texts to search.
class RegexSearch {
 public:
  explicit RegexSearch(const Regex& regex) : regex_(regex), automaton_(regex.lease()) {}
  ~RegexSearch() { regex_.give_back(std::move(automaton_)); }
  RegexSearch(const RegexSearch&) = delete;
  RegexSearch& operator=(const RegexSearch&) = delete;

  // All matches, as characters (bytes, for ASCII) of the text; valid until the next call.
  const std::vector<IndexRange>& find_all(std::string_view ascii);
  const std::vector<IndexRange>& find_all(const AlignedChar* begin, const AlignedChar* end);

  uint64_t steps() const { return automaton_->steps(); }

 private:
  const std::vector<IndexRange>& find_in_classes();

  const Regex& regex_;
  std::unique_ptr<Automaton> automaton_;
  std::vector<uint16_t> classes_;
  std::vector<IndexRange> matches_;
};

}  // namespace tercel::text
