#include "src/text/chars_map.h"

#include <algorithm>
#include <cstring>

#include "src/base/fail.h"

namespace tercel::text {
namespace {

// A unit of the double array: where the children lie, relative to it; the byte that leads to it;
// and whether a string ends here, with its value in the child by byte 0.
uint32_t offset_of(uint32_t unit) { return (unit >> 10U) << ((unit & (1U << 9U)) >> 6U); }
uint32_t label_of(uint32_t unit) { return unit & (1U << 31U | 0xFFU); }
bool has_value(uint32_t unit) { return (unit >> 8U & 1U) == 1; }
uint32_t value_of(uint32_t unit) { return unit & ~(1U << 31U); }

// The longest of Unicode's own foldings has 33 bytes. Without a bound, a file could make each
// character of a text as long as itself.
constexpr std::size_t kMaxReplacement = 1024;

std::size_t longest_replacement(std::string_view all) {
  std::size_t longest = 0;
  while (!all.empty()) {
    const std::size_t end = std::min(all.find('\0'), all.size());
    longest = std::max(longest, end);
    all.remove_prefix(std::min(end + 1, all.size()));
  }
  return longest;
}

}  // namespace

CharsMap::CharsMap(std::string_view bytes, std::string_view source) {
  uint32_t size = 0;
  if (bytes.size() >= sizeof(size)) std::memcpy(&size, bytes.data(), sizeof(size));
  if (bytes.size() < sizeof(size) || size > bytes.size() - sizeof(size) || size % 4 != 0 ||
      size == 0) {
    fail(
        Errc::invalid_file,
        "{}: the precompiled character map has {} bytes, and its trie {}: expected a trie of whole "
        "units inside the map",
        source, bytes.size(), size);
  }
  bytes.remove_prefix(sizeof(size));
  units_.resize(size / 4);
  std::memcpy(units_.data(), bytes.data(), size);
  replacements_ = bytes.substr(size);
  if (longest_replacement(replacements_) > kMaxReplacement) {
    fail(Errc::invalid_file,
         "{}: the precompiled character map has a replacement of more than {} bytes", source,
         kMaxReplacement);
  }
}

template <class F>
void CharsMap::prefixes(std::string_view text, F&& visit) const {
  if (units_.empty()) return;
  std::size_t node = offset_of(units_[0]);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    node ^= byte;
    if (node >= units_.size() || label_of(units_[node]) != byte) return;
    const uint32_t unit = units_[node];
    node ^= offset_of(unit);
    if (!has_value(unit)) continue;
    if (node >= units_.size()) return;
    visit(i + 1, value_of(units_[node]));
  }
}

std::string_view CharsMap::replacement(uint32_t at) const {
  if (at >= replacements_.size()) return {};
  const std::string_view rest = std::string_view(replacements_).substr(at);
  return rest.substr(0, rest.find('\0'));
}

std::optional<CharsMap::Match> CharsMap::longest(std::string_view text) const {
  std::optional<Match> match;
  uint32_t value = 0;
  prefixes(text, [&](std::size_t length, uint32_t at) {
    match = Match{length, {}};
    value = at;
  });
  if (match) match->replacement = replacement(value);
  return match;
}

std::optional<std::string_view> CharsMap::exact(std::string_view text) const {
  std::optional<std::string_view> result;
  prefixes(text, [&](std::size_t length, uint32_t at) {
    if (length == text.size()) result = replacement(at);
  });
  return result;
}

}  // namespace tercel::text
