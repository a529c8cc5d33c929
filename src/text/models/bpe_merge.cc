#include "src/text/models/bpe_merge.h"

#include <algorithm>
#include <array>
#include <functional>
#include <queue>

namespace tercel::text {
namespace {

constexpr uint32_t kNone = PairRanks::kNone;
// Up to here, looking at all ranks for each merge is quicker than a queue.
constexpr std::size_t kShort = 48;

void merge_short(const PairRanks& pairs, std::vector<BpeSymbol>& symbols) {
  std::array<uint32_t, kShort> ranks;  // of symbols i and i + 1
  std::size_t count = symbols.size();
  const auto rank_at = [&](std::size_t i) { return pairs.rank(symbols[i].id, symbols[i + 1].id); };
  for (std::size_t i = 0; i + 1 < count; ++i) ranks[i] = rank_at(i);
  while (count > 1) {
    const auto end = ranks.begin() + static_cast<std::ptrdiff_t>(count - 1);
    const auto least = std::min_element(ranks.begin(), end);
    if (*least == kNone) break;
    const auto at = static_cast<std::size_t>(least - ranks.begin());
    symbols[at] = {pairs.merged(*least), symbols[at].length + symbols[at + 1].length};
    std::copy(least + 1, end, least);
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(at + 1));
    --count;
    if (at + 1 < count) ranks[at] = rank_at(at);
    if (at > 0) ranks[at - 1] = rank_at(at - 1);
  }
}

// A symbol of a long word, in a list: places do not move.
struct Link {
  BpeSymbol symbol;
  uint32_t previous;
  uint32_t next;
  bool merged_away;
};

void merge_long(const PairRanks& pairs, std::vector<BpeSymbol>& symbols) {
  std::vector<Link> links(symbols.size());
  for (uint32_t i = 0; i < links.size(); ++i) {
    links[i] = {symbols[i], i == 0 ? kNone : i - 1, i + 1 == links.size() ? kNone : i + 1, false};
  }
  // rank << 32 | place of the left one: the queue's order is the merges'.
  std::vector<uint64_t> waiting;
  const auto rank_at = [&](uint32_t i) {
    return pairs.rank(links[i].symbol.id, links[links[i].next].symbol.id);
  };
  for (uint32_t i = 0; i + 1 < links.size(); ++i) {
    const uint32_t rank = rank_at(i);
    if (rank != kNone) waiting.push_back(static_cast<uint64_t>(rank) << 32U | i);
  }
  std::priority_queue<uint64_t, std::vector<uint64_t>, std::greater<>> queue(std::greater<>(),
                                                                             std::move(waiting));
  const auto offer = [&](uint32_t i) {
    const uint32_t rank = rank_at(i);
    if (rank != kNone) queue.push(static_cast<uint64_t>(rank) << 32U | i);
  };
  while (!queue.empty()) {
    const auto at = static_cast<uint32_t>(queue.top());
    const auto rank = static_cast<uint32_t>(queue.top() >> 32U);
    queue.pop();
    Link& left = links[at];
    // What was offered may have merged with another neighbour since.
    if (left.merged_away || left.next == kNone || rank_at(at) != rank) continue;
    Link& right = links[left.next];
    left.symbol = {pairs.merged(rank), left.symbol.length + right.symbol.length};
    left.next = right.next;
    right.merged_away = true;
    if (left.next != kNone) {
      links[left.next].previous = at;
      offer(at);
    }
    if (left.previous != kNone) offer(left.previous);
  }
  symbols.clear();
  for (uint32_t i = 0; i != kNone; i = links[i].next) symbols.push_back(links[i].symbol);
}

}  // namespace

void merge_pairs(const PairRanks& pairs, std::vector<BpeSymbol>& symbols) {
  if (symbols.size() < 2) return;
  if (symbols.size() <= kShort) {
    merge_short(pairs, symbols);
  } else {
    merge_long(pairs, symbols);
  }
}

}  // namespace tercel::text
