#pragma once
// Which images lie channels last while a program runs: those that convolutions and pools make and
// read, and what is element by element between them. A decision of the plan: the graph stays as it
// is, and what any other node sees lies as its shape says.

#include <unordered_map>
#include <unordered_set>

#include "src/runtime/epilogue.h"
#include "src/runtime/program.h"

namespace tercel::runtime {

using ValueSet = std::unordered_set<const ir::Value*>;

// Computes element by element, in whatever layout its operands share: its kernel need not know.
bool is_pointwise(const ir::Node& node);

// `context` makes what a kernel is chosen from, and `takes` says whether there is one.
ValueSet find_channels_last(
    const ir::Graph& graph, const ops::Facts& facts,
    const std::unordered_map<const ir::Node*, FusedGroup>& groups,
    FunctionRef<ops::KernelContext(const ir::Node&, const ops::Epilogue&)> context,
    FunctionRef<bool(const ops::KernelContext&)> takes);

}  // namespace tercel::runtime
