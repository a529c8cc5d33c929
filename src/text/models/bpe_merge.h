#pragma once
// Byte-pair encoding of one word (Sennrich et al., 2016): of all neighbours, those whose merge has
// the lowest rank, the leftmost of equals, become one symbol, until no pair is left that merges.

#include <cstdint>
#include <vector>

#include "src/text/models/pair_ranks.h"

namespace tercel::text {

struct BpeSymbol {
  int32_t id;
  uint32_t length;  // bytes
};

// Leaves the merged symbols. Takes n log n steps.
void merge_pairs(const PairRanks& pairs, std::vector<BpeSymbol>& symbols);

}  // namespace tercel::text
