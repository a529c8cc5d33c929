#pragma once
// Finds values between products of bf16 that can be held in bf16: what reads them would round them
// anyway. A decision of the plan: the graph stays as it is, and says f32.

#include "src/runtime/layout.h"

namespace tercel::runtime {

// The outputs of products, or of groups that begin with one, that only other products read, as
// their first factor, where kernels accept it. `context` makes the context of a node with an
// epilogue.
ValueSet find_rounded(
    const ir::Graph& graph, const std::unordered_map<const ir::Node*, FusedGroup>& groups,
    FunctionRef<ops::KernelContext(const ir::Node&, const ops::Epilogue&)> context);

}  // namespace tercel::runtime
