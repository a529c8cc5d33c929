#pragma once
// Outputs of nodes in a session's own memory.

#include <span>

#include "src/device/memory.h"
#include "src/ops/infer.h"

namespace tercel::runtime {

// An output whose type the facts know in full; otherwise throws Errc::unsupported naming the node.
Tensor allocate_output(const ir::Node& node, int index, const ops::Facts& facts, Allocator& memory);

// There are tensors, and none has an element: no kernel need run, whose loops may go over
// dimensions that say more than the memory holds ([2^60, 0]).
bool all_empty(std::span<const Tensor> tensors);

}  // namespace tercel::runtime
