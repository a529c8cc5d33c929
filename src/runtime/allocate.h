#pragma once
// Tensors of a session's own allocator.

#include "src/device/memory.h"
#include "src/ops/infer.h"

namespace tercel::runtime {

// Uninitialised; strings are empty. Throws Errc::out_of_memory naming `what`.
Tensor allocate_tensor(Dtype dtype, const Shape& shape, Allocator& memory, const char* what);

// An output whose type the facts know in full; otherwise throws Errc::unsupported naming the node.
Tensor allocate_output(const ir::Node& node, int index, const ops::Facts& facts, Allocator& memory);

}  // namespace tercel::runtime
