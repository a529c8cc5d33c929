#include "src/text/regex/class_map.h"

#include <algorithm>
#include <limits>
#include <map>

#include "src/base/fail.h"

namespace tercel::text {
namespace {

// Where any set begins or ends, from 0 on.
std::vector<char32_t> boundaries(const std::vector<CharSet>& sets) {
  std::vector<char32_t> firsts = {0};
  for (const CharSet& set : sets) {
    for (const CharRange& range : set.ranges()) {
      firsts.push_back(range.first);
      if (range.last < CharSet::kLast) firsts.push_back(range.last + 1);
    }
  }
  std::sort(firsts.begin(), firsts.end());
  firsts.erase(std::unique(firsts.begin(), firsts.end()), firsts.end());
  return firsts;
}

}  // namespace

ClassMap::ClassMap(const std::vector<CharSet>& sets) : words_(sets.size() / 64 + 1) {
  const std::vector<char32_t> firsts = boundaries(sets);
  std::vector<Signature> signatures(firsts.size(), Signature(words_));
  for (std::size_t set = 0; set < sets.size(); ++set) {
    for (const CharRange& range : sets[set].ranges()) {
      auto at = std::lower_bound(firsts.begin(), firsts.end(), range.first) - firsts.begin();
      for (auto i = static_cast<std::size_t>(at); i < firsts.size() && firsts[i] <= range.last;
           ++i) {
        signatures[i][set / 64] |= uint64_t{1} << (set % 64);
      }
    }
  }
  std::map<Signature, uint16_t> known;
  std::vector<uint16_t> classes;
  for (const Signature& signature : signatures) {
    const auto [entry, is_new] = known.try_emplace(signature, static_cast<uint16_t>(size_));
    if (is_new) {
      members_.insert(members_.end(), signature.begin(), signature.end());
      if (++size_ == std::numeric_limits<uint16_t>::max()) {
        fail(Errc::unsupported, "a regular expression names too many characters");
      }
    }
    classes.push_back(entry->second);
  }
  make_pages(firsts, classes);
  for (char32_t code = 0; code < ascii_.size(); ++code) ascii_[code] = of(code);
}

void ClassMap::make_pages(const std::vector<char32_t>& firsts,
                          const std::vector<uint16_t>& classes) {
  std::map<uint16_t, uint16_t> uniform;  // pages of one class alone
  std::size_t run = 0;
  for (char32_t first = 0; first <= CharSet::kLast; first += kPageSize) {
    while (run + 1 < firsts.size() && firsts[run + 1] <= first) ++run;
    const auto page = static_cast<uint16_t>(pages_.size() / kPageSize);
    const bool is_uniform = run + 1 == firsts.size() || firsts[run + 1] >= first + kPageSize;
    if (is_uniform) {
      const auto [entry, is_new] = uniform.try_emplace(classes[run], page);
      page_of_.push_back(entry->second);
      if (is_new) pages_.resize(pages_.size() + kPageSize, classes[run]);
      continue;
    }
    page_of_.push_back(page);
    for (char32_t code = first; code < first + kPageSize; ++code) {
      while (run + 1 < firsts.size() && firsts[run + 1] <= code) ++run;
      pages_.push_back(classes[run]);
    }
  }
}

}  // namespace tercel::text
