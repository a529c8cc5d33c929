#pragma once
// Characters that no set of a pattern tells apart are one class: an automaton's alphabet.

#include <array>
#include <cstdint>
#include <vector>

#include "src/text/regex/char_set.h"

namespace tercel::text {

class ClassMap {
 public:
  ClassMap() = default;
  explicit ClassMap(const std::vector<CharSet>& sets);

  uint16_t of_ascii(unsigned char code) const { return ascii_[code]; }
  uint16_t of(char32_t code) const {
    return pages_[page_of_[code >> kPageBits] * kPageSize + (code & (kPageSize - 1))];
  }
  // Classes are numbered from 0.
  uint32_t size() const { return size_; }
  bool set_has(uint32_t set, uint32_t char_class) const {
    return ((members_[char_class * words_ + set / 64] >> (set % 64)) & 1) != 0;
  }

 private:
  static constexpr uint32_t kPageBits = 8;
  static constexpr uint32_t kPageSize = 1U << kPageBits;
  using Signature = std::vector<uint64_t>;  // a bit for each set

  void make_pages(const std::vector<char32_t>& firsts, const std::vector<uint16_t>& classes);

  uint32_t size_ = 0;
  std::size_t words_ = 0;
  std::vector<uint64_t> members_;  // the signature of each class
  std::vector<uint16_t> page_of_;
  std::vector<uint16_t> pages_;
  std::array<uint16_t, 128> ascii_{};
};

}  // namespace tercel::text
