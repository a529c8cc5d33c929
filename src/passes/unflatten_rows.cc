#include <algorithm>
#include <array>

#include "src/passes/match.h"
#include "src/passes/pass_list.h"

namespace tercel::passes {
namespace {

constexpr std::array<std::string_view, 3> kAlongRows{"Softmax", "LogSoftmax", "Hardmax"};

bool is_row_wise(const ir::Node& node, const ops::Facts& facts) {
  if (std::none_of(kAlongRows.begin(), kAlongRows.end(), [&](auto name) { return node.is(name); }))
    return false;
  const int64_t axis = node.int_or("axis", -1);
  const ir::Dims* dims = dims_of(node.input(0), facts);
  return dims != nullptr && (axis == -1 || axis == static_cast<int64_t>(dims->size()) - 1);
}

bool fuse_reshapes(ir::Node& outer, const ops::Facts& facts) {
  const ir::Value* result = outer.input(0);
  ir::Node* rows = result->producer();
  if (rows == nullptr || !used_once(result) || !is_row_wise(*rows, facts)) return false;
  const ir::Node* inner = made_by(rows->input(0), "Flatten");
  if (inner == nullptr) inner = made_by(rows->input(0), "Reshape");
  if (inner == nullptr) return false;
  ir::Value* x = inner->input(0);
  const ir::Dims* dims = dims_of(x, facts);
  const ir::Dims* flat = dims_of(inner->output(), facts);
  if (dims == nullptr || dims->empty() || flat == nullptr || flat->empty()) return false;
  if (!dims->back().equals(flat->back()) || !same_dims(x, outer.output(), facts)) return false;
  ir::Builder b(outer.graph(), &outer);
  take_over(outer.output(), b.op(rows->op_type(), {x}, {{"axis", int64_t{-1}}}));
  return true;
}

}  // namespace

bool unflatten_rows(ir::Model& model, const PassContext& context) {
  const auto facts = facts_of(model, context);
  bool changed = false;
  for_each_graph(model, [&](ir::Graph& graph) {
    for (const auto& node : graph.nodes()) {
      if (node->is("Reshape")) changed |= fuse_reshapes(*node, *facts);
    }
  });
  return changed;
}

}  // namespace tercel::passes
