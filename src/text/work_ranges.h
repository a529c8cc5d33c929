#pragma once
// A batch of texts, cut into ranges of about equal bytes for threads to take one after the other:
// fine enough that none waits long for another's last, coarse enough that taking one costs nothing.
// Long texts come first, as one that is begun last is waited for.

#include <atomic>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace tercel::text {

struct WorkRange {
  std::size_t begin;
  std::size_t end;
};

class WorkRanges {
 public:
  // The bytes of each text.
  WorkRanges(std::span<const std::size_t> sizes, int threads);

  // One that was not given yet; nothing when all were. From any thread.
  std::optional<WorkRange> next();
  // There is no next one any more: something failed.
  void stop() { taken_.store(ranges_.size(), std::memory_order_relaxed); }

 private:
  std::vector<WorkRange> ranges_;
  std::atomic<std::size_t> taken_{0};
};

}  // namespace tercel::text
