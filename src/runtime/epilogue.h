#pragma once
// Finds what can be computed with a MatMul, Gemm or Conv while its result is in registers or a near
// cache: a constant bias, an activation, a residual, a LayerNormalization; and products that can be
// computed together. Decisions of the plan: the graph stays as it is.

#include <optional>
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

// What `node` is, if it is a LayerNormalization of `value` along its last axis by constants, with
// nothing but its result read.
std::optional<ops::Normalization> norm_of(const ir::Node& node, const ir::Value* value,
                                          const ops::Facts& facts);

// Groups by their first node. A group is only made where every value between its nodes has no other
// use. Whether a kernel takes a group is not asked.
std::unordered_map<const ir::Node*, FusedGroup> find_epilogues(const ir::Graph& graph,
                                                               const ops::Facts& facts);
// The group without its LayerNormalization, which ends it.
FusedGroup without_norm(const FusedGroup& group);

// Groups, of one node each at least, whose products have one input 0 (queries, keys and values of
// an attention): kernels may compute them in one step, where the first node stands. The weights
// need not be constant.
std::vector<std::vector<FusedGroup>> find_together(
    const ir::Graph& graph, const ops::Facts& facts,
    const std::unordered_map<const ir::Node*, FusedGroup>& groups);

}  // namespace tercel::runtime
