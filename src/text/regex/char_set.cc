#include "src/text/regex/char_set.h"

#include <algorithm>

namespace tercel::text {

CharSet::CharSet(std::vector<CharRange> ranges) : ranges_(std::move(ranges)) {
  std::sort(ranges_.begin(), ranges_.end(),
            [](const CharRange& a, const CharRange& b) { return a.first < b.first; });
  std::size_t kept = 0;
  for (const CharRange range : ranges_) {
    if (kept > 0 && range.first <= ranges_[kept - 1].last + 1) {
      ranges_[kept - 1].last = std::max(ranges_[kept - 1].last, range.last);
    } else {
      ranges_[kept++] = range;
    }
  }
  ranges_.resize(kept);
}

bool CharSet::contains(char32_t code) const {
  const auto range =
      std::lower_bound(ranges_.begin(), ranges_.end(), code,
                       [](const CharRange& r, char32_t value) { return r.last < value; });
  return range != ranges_.end() && range->first <= code;
}

CharSet CharSet::operator~() const {
  CharSet result;
  char32_t next = 0;
  for (const CharRange& range : ranges_) {
    if (next < range.first) result.ranges_.push_back({next, range.first - 1});
    next = range.last + 1;
  }
  if (next <= kLast) result.ranges_.push_back({next, kLast});
  return result;
}

CharSet operator|(const CharSet& a, const CharSet& b) {
  std::vector<CharRange> ranges = a.ranges_;
  ranges.insert(ranges.end(), b.ranges_.begin(), b.ranges_.end());
  return CharSet(std::move(ranges));
}

CharSet operator&(const CharSet& a, const CharSet& b) { return ~(~a | ~b); }

}  // namespace tercel::text
