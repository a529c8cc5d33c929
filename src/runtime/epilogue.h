#pragma once
// Finds what can be computed with a MatMul, Gemm or Conv while its result is in registers: a
// constant bias, an activation, a residual. A decision of the plan: the graph stays as it is.

#include <unordered_map>
#include <vector>

#include "src/ops/cpu.h"

namespace tercel::runtime {

// One group of nodes that run as one step.
struct FusedGroup {
  std::vector<const ir::Node*>
      nodes;  // the MatMul, Gemm or Conv, then what is computed with it, in order
  ops::Epilogue epilogue;
  const ir::Value* residual = nullptr;
};

// Groups by their first node. A group is only made where every value between its nodes has no other
// use.
std::unordered_map<const ir::Node*, FusedGroup> find_epilogues(const ir::Graph& graph,
                                                               const ops::Facts& facts);

}  // namespace tercel::runtime
