// The machine's limits, which the figures of `make bench` are held against, as one JSON line:
// FLOP/s of fused multiply-adds on one thread and on all, the same on all in bf16 and int8 (0: the
// CPU has no instruction for it), and bytes/s of reading memory on all.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "bench/fma_peak.h"
#include "src/base/thread_pool.h"

namespace {

using Clock = std::chrono::steady_clock;

// Far more than the caches hold.
constexpr std::size_t kWordsPerThread = std::size_t{1} << 24;

uint64_t add(const std::vector<uint64_t>& words) {
  uint64_t sum = 0;
  for (const uint64_t word : words) sum += word;
  return sum;
}

double read_bandwidth(int threads) {
  const std::vector<std::vector<uint64_t>> blocks(threads,
                                                  std::vector<uint64_t>(kWordsPerThread, 1));
  std::atomic<uint64_t> total = 0;  // keeps the sums from being dropped
  double best = 0;
  for (int i = 0; i < 10; ++i) {
    const auto begin = Clock::now();
    {
      std::vector<std::jthread> running;
      for (const auto& block : blocks) running.emplace_back([&] { total += add(block); });
    }
    const std::chrono::duration<double> took = Clock::now() - begin;
    best = std::max(best, static_cast<double>(threads * kWordsPerThread * 8) / took.count());
  }
  return total == 0 ? 0 : best;
}

}  // namespace

int main() {
  const int threads = tercel::available_cpus();
  std::cout << fmt::format(
      "{{\"threads\": {}, \"flops_one\": {:.4e}, \"flops\": {:.4e}, \"bf16\": {:.4e}, \"int8\": "
      "{:.4e}, "
      "\"read_bytes\": {:.4e}}}\n",
      threads, tercel::fma_peak(), tercel::fma_peak(threads), tercel::bf16_peak(threads),
      tercel::int8_peak(threads), read_bandwidth(threads));
}
