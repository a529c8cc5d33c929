#include "src/runtime/memory_plan.h"

#include <algorithm>
#include <map>
#include <random>

#include <gtest/gtest.h>

#include "tercel/error.h"

namespace tercel::runtime {
namespace {

// Sweeps over the steps: blocks that live at one time may not overlap.
void expect_apart(const std::vector<Block>& blocks, std::size_t arena) {
  std::multimap<int, std::pair<bool, const Block*>> events;  // ends come after all begins of a step
  for (const Block& block : blocks) {
    EXPECT_EQ(block.offset % 64, 0U);
    EXPECT_LE(block.offset + block.bytes, arena);
    if (block.bytes == 0) continue;
    events.emplace(2 * block.first, std::pair{true, &block});
    events.emplace(2 * block.last + 1, std::pair{false, &block});
  }
  std::map<std::size_t, const Block*> alive;  // by offset
  for (const auto& [step, event] : events) {
    const Block& block = *event.second;
    if (!event.first) {
      alive.erase(block.offset);
      continue;
    }
    const auto [at, added] = alive.emplace(block.offset, &block);
    ASSERT_TRUE(added);
    const auto next = std::next(at);
    if (next != alive.end()) {
      ASSERT_LE(block.offset + block.bytes, next->first);
    }
    if (at != alive.begin()) {
      const Block& before = *std::prev(at)->second;
      ASSERT_LE(before.offset + before.bytes, block.offset);
    }
  }
}

TEST(PlanMemory, BlocksThatLiveTogetherLieApart) {
  std::mt19937 random(7);
  for (const int count : {0, 1, 100, 3000, 20'000}) {
    std::vector<Block> blocks;
    std::size_t all = 0;
    for (int i = 0; i < count; ++i) {
      const std::size_t bytes = random() % 5 == 0 ? 0 : random() % 100'000;
      const int length =
          random() % 50 == 0 ? static_cast<int>(random() % 1000) : static_cast<int>(random() % 4);
      blocks.push_back({bytes, i, i + length, 0});
      all += (bytes + 63) / 64 * 64;
    }
    const std::size_t arena = plan_memory(blocks);
    expect_apart(blocks, arena);
    EXPECT_LE(arena, all);
    if (count >= 100) {
      EXPECT_LE(arena, all / 2);
    }
  }
}

TEST(PlanMemory, AChainTakesTwoBlocks) {
  for (const int count : {1000, 50'000}) {
    std::vector<Block> blocks;
    for (int i = 0; i < count; ++i) blocks.push_back({128, i, i + 1, 0});
    EXPECT_EQ(plan_memory(blocks), 256U);
  }
}

TEST(PlanMemory, AnOverflowIsAnError) {
  std::vector<Block> few(2, {std::size_t{1} << 62, 0, 1, 0});
  EXPECT_THROW(plan_memory(few), Error);
  std::vector<Block> many(5000, {std::size_t{1} << 62, 0, 1, 0});
  EXPECT_THROW(plan_memory(many), Error);
}

}  // namespace
}  // namespace tercel::runtime
