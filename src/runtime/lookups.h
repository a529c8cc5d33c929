#pragma once
// Finds embeddings: LayerNormalizations, by constants, of the sum of rows that are looked up in
// constant tables. Kernels may compute one in a single step. A decision of the plan: the graph
// stays as it is.

#include <utility>
#include <vector>

#include "src/ops/kernel.h"

namespace tercel::runtime {

struct LookupGroup {
  std::vector<const ir::Node*> nodes;  // each behind those that it reads; the last normalises
  std::vector<ops::Lookup> lookups;
  // What the kernel reads, the values that the lookups name: so many an input of that node.
  std::vector<std::pair<const ir::Node*, int>> inputs;
};

// A group is only made where every value between its nodes has no other use, and all indices are
// i64.
std::vector<LookupGroup> find_lookups(const ir::Graph& graph, const ops::Facts& facts);

}  // namespace tercel::runtime
