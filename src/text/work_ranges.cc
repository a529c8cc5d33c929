#include "src/text/work_ranges.h"

#include <algorithm>
#include <numeric>

namespace tercel::text {
namespace {

constexpr std::size_t kRangesPerThread = 64;
constexpr std::size_t kMinBytes = 1024;

}  // namespace

WorkRanges::WorkRanges(std::span<const std::size_t> sizes, int threads) {
  const std::size_t total = std::accumulate(sizes.begin(), sizes.end(), std::size_t{0});
  const std::size_t wanted =
      std::max(kMinBytes, total / (kRangesPerThread * static_cast<std::size_t>(threads)));
  std::vector<WorkRange> short_ones;
  for (std::size_t i = 0; i < sizes.size();) {
    const std::size_t begin = i;
    if (sizes[i] >= wanted) {
      ranges_.push_back({begin, ++i});
      continue;
    }
    for (std::size_t bytes = 0; i < sizes.size() && sizes[i] < wanted && bytes < wanted; ++i) {
      bytes += sizes[i] + 1;  // empty texts count too
    }
    short_ones.push_back({begin, i});
  }
  std::stable_sort(ranges_.begin(), ranges_.end(), [&](const WorkRange& a, const WorkRange& b) {
    return sizes[a.begin] > sizes[b.begin];
  });
  ranges_.insert(ranges_.end(), short_ones.begin(), short_ones.end());
}

std::optional<WorkRange> WorkRanges::next() {
  const std::size_t index = taken_.fetch_add(1, std::memory_order_relaxed);
  return index < ranges_.size() ? std::optional(ranges_[index]) : std::nullopt;
}

}  // namespace tercel::text
