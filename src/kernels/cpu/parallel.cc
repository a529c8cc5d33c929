#include "src/kernels/cpu/parallel.h"

#include <algorithm>
#include <atomic>

#include "src/base/checked.h"
#include "src/base/thread_pool.h"

namespace tercel::kernels {
namespace {

constexpr double kNanosecondsWorthSharing = 4000;

}  // namespace

void parallel_ranges(ThreadPool& pool, int64_t count, double cost, const void* context,
                     RangeBody body) {
  const double wanted = kNanosecondsWorthSharing / std::max(cost, 1e-3);
  const auto grain = static_cast<int64_t>(std::clamp(wanted, 1.0, 1e9));
  pool.parallel_for(count, grain, [&](int64_t begin, int64_t end) { body(context, begin, end); });
}

void parallel_items(ThreadPool& pool, int64_t count, double cost, const void* context,
                    ItemBody body) {
  std::atomic<int64_t> next{0};
  const int64_t slots = cost < 2 * kNanosecondsWorthSharing ? 1 : pool.size();
  pool.parallel_for(std::min(slots, count), 1, [&](int64_t slot, int64_t) {
    for (;;) {
      const int64_t item = next.fetch_add(1, std::memory_order_relaxed);
      if (item >= count) return;
      body(context, item, slot);
    }
  });
}

int pool_size(const ThreadPool& pool) { return pool.size(); }

void fail_dtype(const char* kernel, Dtype dtype) {
  fail(Errc::unsupported, "{}: {} is not one of the types it has: f32, f16, bf16", kernel,
       to_string(dtype));
}

std::size_t checked_bytes(int64_t a, int64_t b, int64_t c) {
  return static_cast<std::size_t>(checked_mul(checked_mul(a, b), c));
}

}  // namespace tercel::kernels
