#include "src/runtime/memory_plan.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <numeric>
#include <queue>
#include <set>

#include "src/base/checked.h"

namespace tercel::runtime {
namespace {

constexpr std::size_t kAlignment = 64;

// Greedy placement compares each block with all before it.
constexpr std::size_t kMaxGreedy = 4096;

std::size_t end_of(std::size_t offset, std::size_t bytes) {
  return static_cast<std::size_t>(
      checked_add(static_cast<int64_t>(offset), static_cast<int64_t>(bytes)));
}

bool meet(const Block& a, const Block& b) { return a.first <= b.last && b.first <= a.last; }

// Pisarchyk and Lee, as memory_plan.h says.
std::size_t place_by_size(std::vector<Block>& blocks) {
  std::vector<std::size_t> order(blocks.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return blocks[a].bytes > blocks[b].bytes; });
  std::vector<std::size_t> placed;  // by offset
  std::size_t arena = 0;
  for (const std::size_t index : order) {
    Block& block = blocks[index];
    const std::size_t bytes = aligned(block.bytes);
    std::size_t offset = 0;
    for (const std::size_t other : placed) {
      const Block& neighbour = blocks[other];
      if (!meet(block, neighbour)) continue;
      if (offset + bytes <= neighbour.offset) break;
      offset = std::max(offset, neighbour.offset + aligned(neighbour.bytes));
    }
    block.offset = offset;
    arena = std::max(arena, end_of(offset, bytes));
    const auto later = [&](std::size_t a, std::size_t b) {
      return blocks[a].offset < blocks[b].offset;
    };
    placed.insert(std::upper_bound(placed.begin(), placed.end(), index, later), index);
  }
  return arena;
}

// The gaps in an arena that grows at its end: found by size, joined with their neighbours.
class Gaps {
 public:
  std::size_t take(std::size_t bytes) {
    const auto best = by_size_.lower_bound({bytes, 0});
    if (best == by_size_.end()) {
      const std::size_t offset = end_;
      end_ = end_of(end_, bytes);
      return offset;
    }
    const auto [size, offset] = *best;
    by_size_.erase(best);
    by_offset_.erase(offset);
    if (size > bytes) insert(offset + bytes, size - bytes);
    return offset;
  }

  void give(std::size_t offset, std::size_t bytes) {
    if (bytes == 0) return;
    const auto next = by_offset_.lower_bound(offset);
    if (next != by_offset_.end() && next->first == offset + bytes) {
      bytes += next->second;
      remove(next);
    }
    const auto after = by_offset_.lower_bound(offset);
    if (after != by_offset_.begin()) {
      const auto before = std::prev(after);
      if (before->first + before->second == offset) {
        offset = before->first;
        bytes += before->second;
        remove(before);
      }
    }
    insert(offset, bytes);
  }

  std::size_t end() const { return end_; }

 private:
  using ByOffset = std::map<std::size_t, std::size_t>;
  void insert(std::size_t offset, std::size_t bytes) {
    by_offset_.emplace(offset, bytes);
    by_size_.emplace(bytes, offset);
  }
  void remove(ByOffset::iterator gap) {
    by_size_.erase({gap->second, gap->first});
    by_offset_.erase(gap);
  }

  ByOffset by_offset_;
  std::set<std::pair<std::size_t, std::size_t>> by_size_;
  std::size_t end_ = 0;
};

// In the order of the steps, each block in the smallest gap that holds it: n log n.
std::size_t place_by_time(std::vector<Block>& blocks) {
  std::vector<std::size_t> order(blocks.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return blocks[a].first < blocks[b].first; });
  using End = std::pair<int, std::size_t>;
  std::priority_queue<End, std::vector<End>, std::greater<>> alive;  // by last step
  Gaps gaps;
  for (const std::size_t index : order) {
    Block& block = blocks[index];
    while (!alive.empty() && alive.top().first < block.first) {
      const Block& dead = blocks[alive.top().second];
      gaps.give(dead.offset, aligned(dead.bytes));
      alive.pop();
    }
    block.offset = block.bytes > 0 ? gaps.take(aligned(block.bytes)) : 0;
    if (block.bytes > 0) alive.emplace(block.last, index);
  }
  return gaps.end();
}

}  // namespace

std::size_t aligned(std::size_t bytes) {
  const auto padded = checked_add(static_cast<int64_t>(bytes), kAlignment - 1);
  return static_cast<std::size_t>(padded) / kAlignment * kAlignment;
}

std::size_t plan_memory(std::vector<Block>& blocks) {
  return blocks.size() <= kMaxGreedy ? place_by_size(blocks) : place_by_time(blocks);
}

}  // namespace tercel::runtime
