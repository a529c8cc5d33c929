#pragma once
// The precompiled rules of SentencePiece's normalizer ("charsmap"): a double-array trie (Aoe, 1989;
// the unit format of Darts-clone) from strings to what replaces them. The file's bytes are
//   u32 size of the trie in bytes | u32 units | replacements, each ended by a NUL

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tercel::text {

class CharsMap {
 public:
  struct Match {
    std::size_t length;  // bytes that the rule reads, at least 1
    std::string_view replacement;
  };

  // A map without rules.
  CharsMap() = default;
  // Copies what it needs; `source` is what messages call the file. Throws Errc::invalid_file.
  CharsMap(std::string_view bytes, std::string_view source);

  // The rule with the longest string that begins `text`.
  std::optional<Match> longest(std::string_view text) const;
  // The replacement for exactly `text`.
  std::optional<std::string_view> exact(std::string_view text) const;
  bool empty() const { return units_.empty(); }

 private:
  // Calls visit(length, value) for each rule that begins `text`, the shortest first.
  template <class F>
  void prefixes(std::string_view text, F&& visit) const;
  std::string_view replacement(uint32_t at) const;

  std::vector<uint32_t> units_;
  std::string replacements_;
};

}  // namespace tercel::text
