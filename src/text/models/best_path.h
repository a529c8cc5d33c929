#pragma once
// The best way to cut a text into pieces of a unigram model (Kudo, 2018), by Viterbi's algorithm:
// the sum of the pieces' scores is the largest. A character that is no piece is an unknown one,
// with a score of its own. Takes as many steps as the text is long, times the longest piece.

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "src/text/models/trie.h"
#include "src/text/utf8.h"

namespace tercel::text {

struct PathPiece {
  int32_t id;  // kUnknownPiece for unknown characters
  uint32_t begin;
  uint32_t end;
};
inline constexpr int32_t kUnknownPiece = -1;

// `Sum` is the type in which scores are added up: part of a format's meaning, as is that of equal
// sums the one found first wins. `on_unknown` is called when a sum with an unknown character
// is the best so far.
template <class Sum, class OnUnknown>
void best_path(const Trie& trie, const std::vector<Sum>& scores, Sum unknown_score,
               std::string_view text, std::vector<PathPiece>& path, OnUnknown&& on_unknown) {
  struct End {
    Sum sum = 0;
    uint32_t begin = UINT32_MAX;  // none leads here
    int32_t id = kUnknownPiece;
  };
  std::vector<End> ends(text.size() + 1);
  const auto offer = [&](std::size_t end, Sum sum, std::size_t begin, int32_t id) {
    End& target = ends[end];
    if (target.begin != UINT32_MAX && !(sum > target.sum)) return false;
    target = {sum, static_cast<uint32_t>(begin), id};
    return true;
  };
  for (std::size_t begin = 0; begin < text.size();) {
    const Sum sum = ends[begin].sum;
    const std::size_t next = begin + decode_first(text.substr(begin)).length;
    bool has_single = false;
    uint32_t node = Trie::kRoot;
    for (std::size_t at = begin; at < text.size();) {
      node = trie.step(node, static_cast<unsigned char>(text[at]));
      if (node == Trie::kRoot) break;
      ++at;
      const int32_t id = trie.value(node);
      if (id < 0) continue;
      offer(at, scores[static_cast<std::size_t>(id)] + sum, begin, id);
      if (at == next) has_single = true;
    }
    if (!has_single && offer(next, unknown_score + sum, begin, kUnknownPiece)) on_unknown();
    begin = next;
  }
  path.clear();
  for (std::size_t end = text.size(); end > 0; end = ends[end].begin) {
    path.push_back({ends[end].id, ends[end].begin, static_cast<uint32_t>(end)});
  }
  std::reverse(path.begin(), path.end());
}

}  // namespace tercel::text
