#include "src/runtime/memory_plan.h"

#include <algorithm>
#include <numeric>

#include "src/base/checked.h"

namespace tercel::runtime {
namespace {

constexpr std::size_t kAlignment = 64;

std::size_t aligned(std::size_t bytes) {
  const auto padded = checked_add(static_cast<int64_t>(bytes), kAlignment - 1);
  return static_cast<std::size_t>(padded) / kAlignment * kAlignment;
}

bool meet(const Block& a, const Block& b) { return a.first <= b.last && b.first <= a.last; }

}  // namespace

std::size_t plan_memory(std::vector<Block>& blocks) {
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
    const auto end = checked_add(static_cast<int64_t>(offset), static_cast<int64_t>(bytes));
    arena = std::max(arena, static_cast<std::size_t>(end));
    const auto later = [&](std::size_t a, std::size_t b) {
      return blocks[a].offset < blocks[b].offset;
    };
    placed.insert(std::upper_bound(placed.begin(), placed.end(), index, later), index);
  }
  return arena;
}

}  // namespace tercel::runtime
