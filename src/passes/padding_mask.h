#pragma once
// What an Attention's mask hides, beside padding.

#include <string>

#include "src/passes/elements.h"

namespace tercel::passes {

struct PaddingMask {
  const ir::Value* input = nullptr;  // [batch, length], a graph input: 0 where there is padding
  // A query at place p sees the real places [p - left, p + right]; kNoWindow is no bound.
  int64_t left = kNoWindow;
  int64_t right = kNoWindow;
  // Added to the scores, [1, heads or 1, length, length]; null: nothing.
  const ir::Value* bias = nullptr;

  static constexpr int64_t kNoWindow = INT32_MAX;
};

// Nothing, and why not in `reason`, for a mask that says more than that. Queries that are padding
// may be hidden or not.
std::optional<PaddingMask> read_padding_mask(const ir::Value* mask, Elements& elements,
                                             const ops::Facts& facts, std::string& reason);

// True when `value` is 0 (or false) wherever `mask` is; places are [batch, length, …].
bool is_zero_at_padding(const ir::Value* value, const ir::Value* mask, Elements& elements,
                        const ops::Facts& facts);

}  // namespace tercel::passes
