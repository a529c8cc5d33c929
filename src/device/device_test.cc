#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "src/device/cpu_cache.h"
#include "src/device/cpu_isa.h"
#include "src/device/lasting_memory.h"
#include "src/device/memory.h"
#include "tercel/error.h"

namespace tercel {
namespace {

TEST(CpuIsa, NamesGoBothWays) {
  for (auto isa = CpuIsa::generic; isa <= CpuIsa::amx; isa = static_cast<CpuIsa>(int(isa) + 1)) {
    EXPECT_EQ(parse_cpu_isa(to_string(isa)), isa);
  }
  EXPECT_THROW(parse_cpu_isa("sse9"), Error);
}

TEST(CpuIsa, TheListIsInOrderAndHoldsTheBest) {
  const auto isas = cpu_isas();
  ASSERT_FALSE(isas.empty());
  EXPECT_EQ(isas.front(), CpuIsa::generic);
  EXPECT_TRUE(cpu_has(best_cpu_isa()));
  EXPECT_TRUE(std::is_sorted(isas.begin(), isas.end()));
  for (const CpuIsa isa : isas) EXPECT_TRUE(cpu_has(isa));
}

TEST(CpuCache, IsNotKnownOrOfSomeKilobytes) {
  const std::size_t bytes = last_cache_bytes();
  EXPECT_TRUE(bytes == 0 || bytes >= std::size_t{32} << 10) << bytes;
  EXPECT_EQ(bytes % 1024, 0U);
}

TEST(CpuAllocator, CountsAndCaps) {
  const auto allocator = make_cpu_allocator(1000);
  {
    const auto a = allocator->allocate(600, "a");
    EXPECT_EQ(allocator->in_use(), 600U);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(a->data()) % 64, 0U);
    EXPECT_THROW(allocator->allocate(401, "b"), Error);
    EXPECT_THROW(allocator->allocate(SIZE_MAX, "c"), Error);
  }
  EXPECT_EQ(allocator->in_use(), 0U);
  EXPECT_EQ(allocator->peak(), 600U);
}

TEST(CpuAllocator, WithoutACapTheMachineIsOne) {
  EXPECT_GT(machine_memory(), std::size_t{64} << 20);
  const auto allocator = make_cpu_allocator();
  EXPECT_THROW(allocator->allocate(std::size_t{1} << 50, "a petabyte"), Error);
  EXPECT_EQ(allocator->in_use(), 0U);
}

TEST(CpuAllocator, GivesBlocksOfAboutTheSizeAgain) {
  constexpr std::size_t kBytes = std::size_t{256} << 10;
  const auto memory = make_cpu_allocator();
  auto first = memory->allocate(kBytes, "test");
  auto second = memory->allocate(kBytes, "test");
  std::byte* data = first->data();
  EXPECT_NE(second->data(), data);
  first.reset();
  EXPECT_EQ(memory->in_use(), kBytes);
  EXPECT_NE(memory->allocate(kBytes / 3, "test")->data(), data);
  first = memory->allocate(kBytes - 1000, "test");
  EXPECT_EQ(first->data(), data);
  EXPECT_EQ(memory->in_use(), 2 * kBytes - 1000);
  std::memset(first->data(), 1, first->size());
  // More than are kept, and given back after the allocator.
  std::vector<std::shared_ptr<Buffer>> many;
  for (int i = 0; i < 20; ++i) many.push_back(make_cpu_allocator()->allocate(kBytes, "test"));
  for (int i = 0; i < 20; ++i) many.push_back(memory->allocate(kBytes, "test"));
}

TEST(CpuAllocator, LastingBlocksAreCountedAndStandApart) {
  auto allocator = make_cpu_allocator(std::size_t{64} << 20);
  std::vector<std::shared_ptr<Buffer>> blocks;
  std::size_t total = 0;
  for (int i = 0; i < 40; ++i) {  // some share, some are too large to
    const std::size_t bytes =
        i % 10 == 9 ? (std::size_t{5} << 20) : 1 + 40000 * static_cast<std::size_t>(i);
    blocks.push_back(allocate_lasting(*allocator, bytes, "a weight"));
    total += bytes;
    EXPECT_EQ(allocator->in_use(), total);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(blocks.back()->data()) % 64, 0U);
    std::fill_n(blocks.back()->data(), bytes, static_cast<std::byte>(i));
  }
  EXPECT_THROW(allocate_lasting(*allocator, std::size_t{60} << 20, "too much"), Error);
  EXPECT_EQ(allocator->in_use(), total);
  allocator.reset();
  blocks.erase(blocks.begin(), blocks.begin() + 20);
  for (int i = 20; i < 40; ++i) {
    const Buffer& block = *blocks[static_cast<std::size_t>(i - 20)];
    EXPECT_TRUE(std::all_of(block.data(), block.data() + block.size(),
                            [&](std::byte byte) { return byte == static_cast<std::byte>(i); }));
  }
}

TEST(Device, OnlyTheCpuIsBuiltIn) {
  EXPECT_EQ(find_device("cpu").kind(), DeviceKind::cpu);
  EXPECT_THROW(find_device("cuda:0"), Error);
  EXPECT_THROW(find_device("tpu"), Error);
}

}  // namespace
}  // namespace tercel
