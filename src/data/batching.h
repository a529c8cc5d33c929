#pragma once
// Which rows share a batch.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace tercel::data {

struct BatchRule {
  int64_t max_rows = 0;    // 0: any number
  int64_t max_tokens = 0;  // a longer row is a batch alone
  // The model computes on padding: tokens are rows times the longest, and a row joins a batch when
  // at most a quarter of it would be padding.
  bool count_padding = false;
};

struct RowSize {
  int64_t length;
  int64_t group;  // rows of different groups do not share a batch
};

// The rows' numbers, batch by batch: within a group from the longest to the shortest, equal ones in
// order.
std::vector<std::vector<std::size_t>> batches_by_length(std::span<const RowSize> rows,
                                                        const BatchRule& rule);

}  // namespace tercel::data
