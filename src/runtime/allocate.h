#pragma once
// Outputs of nodes in a session's own memory.

#include <span>

#include "src/device/memory.h"
#include "src/ops/infer.h"

namespace tercel::runtime {

// A node's output whose type the facts know in full; otherwise throws Errc::unsupported naming it.
// `rounded`: what is f32 is held in bf16.
Tensor allocate_output(const ir::Value& output, const ops::Facts& facts, Allocator& memory,
                       bool rounded = false);

// There are tensors, and none has an element: no kernel need run, whose loops may go over
// dimensions that say more than the memory holds ([2^60, 0]).
bool all_empty(std::span<const Tensor> tensors);

}  // namespace tercel::runtime
