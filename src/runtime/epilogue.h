#pragma once
// Finds what can be computed with a MatMul, Gemm or Conv while its result is in registers or a near
// cache: a constant bias, an activation, a residual, a LayerNormalization; and products that can be
// computed together. Decisions of the plan: the graph stays as it is.

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
// use. `with_norms`: a LayerNormalization may end one.
std::unordered_map<const ir::Node*, FusedGroup> find_epilogues(const ir::Graph& graph,
                                                               const ops::Facts& facts,
                                                               bool with_norms);

// Groups, of one node each at least, whose products have one input 0 (queries, keys and values of
// an attention): kernels may compute them in one step, where the first node stands. The weights
// need not be constant.
std::vector<std::vector<FusedGroup>> find_together(
    const ir::Graph& graph, const ops::Facts& facts,
    const std::unordered_map<const ir::Node*, FusedGroup>& groups);

}  // namespace tercel::runtime
