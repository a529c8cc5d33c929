#include "src/text/models/pair_ranks.h"

#include <bit>

#include "src/base/fail.h"

namespace tercel::text {
namespace {
// Far more than a half-full table ever needs: only a file made to collide comes here.
constexpr std::size_t kMaxProbes = 4096;
}  // namespace

PairRanks::PairRanks(std::size_t count)
    : slots_(std::bit_ceil(count * 2 + 2)), mask_(slots_.size() - 1) {
  if (count >= kNone) fail(Errc::invalid_file, "{} merges: at most {} have ranks", count, kNone);
  merged_.reserve(count);
}

void PairRanks::add(int32_t left, int32_t right, int32_t merged) {
  const uint64_t key = key_of(left, right);
  const std::size_t begin = hash(key);
  for (std::size_t probe = 0; probe < kMaxProbes; ++probe) {
    Slot& slot = slots_[(begin + probe) & mask_];
    if (slot.key != kFree && slot.key != key) continue;
    slot = {key, static_cast<uint32_t>(merged_.size())};
    merged_.push_back(merged);
    return;
  }
  fail(Errc::invalid_file, "the merges are made to collide in a hash table");
}

}  // namespace tercel::text
