#pragma once
// The merges of a BPE model: pairs of ids, their rank, and the id that they become.

#include <cstdint>
#include <vector>

namespace tercel::text {

class PairRanks {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  explicit PairRanks(std::size_t count);
  // Ranks count from 0 in the order of the calls; of equal pairs the last one's. Throws
  // Errc::invalid_file.
  void add(int32_t left, int32_t right, int32_t merged);

  // kNone when the pair does not merge.
  uint32_t rank(int32_t left, int32_t right) const {
    const uint64_t key = key_of(left, right);
    for (std::size_t at = hash(key) & mask_;; at = (at + 1) & mask_) {
      if (slots_[at].key == key) return slots_[at].rank;
      if (slots_[at].key == kFree) return kNone;
    }
  }
  int32_t merged(uint32_t rank) const { return merged_[rank]; }

 private:
  static constexpr uint64_t kFree = UINT64_MAX;  // no pair, since ids are not negative
  struct Slot {
    uint64_t key = kFree;
    uint32_t rank = kNone;
  };
  static uint64_t key_of(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32U | static_cast<uint32_t>(right);
  }
  static uint64_t hash(uint64_t key) {
    key *= 0x9E3779B97F4A7C15ULL;
    key ^= key >> 32U;
    key *= 0xD6E8FEB86659FD93ULL;
    return key ^ key >> 29U;
  }

  std::vector<Slot> slots_;  // a power of two, at most half full
  std::size_t mask_;
  std::vector<int32_t> merged_;
};

}  // namespace tercel::text
