#pragma once
// Outputs of nodes in a session's own memory.

#include <span>

#include "src/device/memory.h"
#include "src/ops/infer.h"
#include "src/runtime/accelerator.h"

namespace tercel::runtime {

// A node's output whose type the facts know in full; otherwise throws Errc::unsupported naming it.
// `floats`: what is f32 is held as this.
Tensor allocate_output(const ir::Value& output, const ops::Facts& facts, Allocator& memory,
                       Dtype floats = Dtype::f32);

// There are tensors, and none has an element: no kernel need run, whose loops may go over
// dimensions that say more than the memory holds ([2^60, 0]).
bool all_empty(std::span<const Tensor> tensors);

}  // namespace tercel::runtime
