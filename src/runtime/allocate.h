#pragma once
// Outputs of nodes in a session's own memory.

#include "src/device/memory.h"
#include "src/ops/infer.h"

namespace tercel::runtime {

// An output whose type the facts know in full; otherwise throws Errc::unsupported naming the node.
Tensor allocate_output(const ir::Node& node, int index, const ops::Facts& facts, Allocator& memory);

}  // namespace tercel::runtime
