#pragma once
// Outputs of nodes in a session's own memory.

#include <span>

#include "src/device/memory.h"
#include "src/ops/infer.h"
#include "src/runtime/accelerator.h"

namespace tercel::runtime {

// An output whose type the facts know in full; otherwise throws Errc::unsupported naming the node.
// `accelerator`: that `memory` is of; null for the CPU's.
Tensor allocate_output(const ir::Node& node, int index, const ops::Facts& facts, Allocator& memory,
                       const Accelerator* accelerator = nullptr);

// There are tensors, and none has an element: no kernel need run, whose loops may go over
// dimensions that say more than the memory holds ([2^60, 0]).
bool all_empty(std::span<const Tensor> tensors);

}  // namespace tercel::runtime
