#pragma once
// Finds values between products of bf16 or bytes that can be held as what these round to: what
// reads them would do it anyway. A decision of the plan: the graph stays as it is, and says f32.

#include "src/runtime/layout.h"

namespace tercel::runtime {

// The outputs of products, or of groups that begin with one, that only other products read, as
// their first factor, where `accepts` says so: that a kernel takes a node with an epilogue and with
// these of its values rounded.
ValueSet find_rounded(
    const ir::Graph& graph, const std::unordered_map<const ir::Node*, FusedGroup>& groups,
    FunctionRef<bool(const ir::Node&, const ops::Epilogue&, ops::Rounding)> accepts);

}  // namespace tercel::runtime
