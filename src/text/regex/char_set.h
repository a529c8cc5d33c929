#pragma once
// A set of characters, as ranges of code points.

#include <vector>

namespace tercel::text {

struct CharRange {
  char32_t first;
  char32_t last;
  friend bool operator==(const CharRange&, const CharRange&) = default;
};

class CharSet {
 public:
  static constexpr char32_t kLast = 0x10FFFF;

  CharSet() = default;
  // In any order; they may overlap.
  explicit CharSet(std::vector<CharRange> ranges);
  static CharSet all() { return CharSet({{0, kLast}}); }

  bool empty() const { return ranges_.empty(); }
  bool contains(char32_t code) const;
  // In rising order, with a gap between any two.
  const std::vector<CharRange>& ranges() const { return ranges_; }

  CharSet operator~() const;
  friend CharSet operator|(const CharSet& a, const CharSet& b);
  friend CharSet operator&(const CharSet& a, const CharSet& b);
  friend bool operator==(const CharSet&, const CharSet&) = default;

 private:
  std::vector<CharRange> ranges_;
};

}  // namespace tercel::text
