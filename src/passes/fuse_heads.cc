#include "src/passes/match.h"
#include "src/passes/pass_list.h"

namespace tercel::passes {
namespace {

// Transpose<[0, 2, 1, 3]>(Reshape(x)) from [batch, length, heads · size] to
// [batch, heads, length, size].
struct Split {
  ir::Value* x;
  int64_t heads;
};

// The merged shape of [batch, length, heads, size].
bool merges_to(const ir::Dims& split, const ir::Dims& merged) {
  return split.size() == 4 && merged.size() == 3 && split[0].equals(merged[0]) &&
         split[1].equals(merged[1]) && split[2].known() && split[3].known() &&
         ops::mul(split[2], split[3]).equals(merged[2]);
}

std::optional<Split> match_split(const ir::Value* value, const ops::Facts& facts) {
  const ir::Node* transpose = made_by(value, "Transpose");
  if (transpose == nullptr || !swaps_heads(*transpose)) return std::nullopt;
  const ir::Node* reshape = made_by(transpose->input(0), "Reshape");
  if (reshape == nullptr) return std::nullopt;
  const ir::Dims* merged = dims_of(reshape->input(0), facts);
  const ir::Dims* split = dims_of(reshape->output(), facts);
  if (merged == nullptr || split == nullptr || !merges_to(*split, *merged)) return std::nullopt;
  return Split{reshape->input(0), (*split)[2].value()};
}

// The Reshape that merges the heads of the attention's output; null when it is used otherwise.
ir::Node* match_merge(const ir::Node& attention, const ops::Facts& facts) {
  const ir::Node* transpose = sole_user(attention.output(), "Transpose");
  if (transpose == nullptr || !swaps_heads(*transpose)) return nullptr;
  ir::Node* reshape = sole_user(transpose->output(), "Reshape");
  if (reshape == nullptr || reshape->input(0) != transpose->output()) return nullptr;
  const ir::Dims* split = dims_of(transpose->output(), facts);
  const ir::Dims* merged = dims_of(reshape->output(), facts);
  return split != nullptr && merged != nullptr && merges_to(*split, *merged) ? reshape : nullptr;
}

bool fuse_layouts(ir::Node& attention, const ops::Facts& facts) {
  if (attention.input(4) != nullptr || attention.input(5) != nullptr) return false;
  for (int i = 1; i < attention.num_outputs(); ++i) {
    if (attention.output(i) != nullptr) return false;
  }
  const auto q = match_split(attention.input(0), facts);
  const auto k = match_split(attention.input(1), facts);
  const auto v = match_split(attention.input(2), facts);
  if (!q || !k || !v || k->heads != v->heads) return false;
  const ir::Node* merge = match_merge(attention, facts);
  if (merge == nullptr) return false;

  // The scale's default is taken from the head size, which stays.
  std::vector<ir::Value*> inputs(attention.inputs().begin(), attention.inputs().end());
  inputs[0] = q->x;
  inputs[1] = k->x;
  inputs[2] = v->x;
  ir::Builder b(attention.graph(), &attention);
  ir::Value* result =
      b.op("Attention", std::move(inputs), {{"q_num_heads", q->heads}, {"kv_num_heads", k->heads}});
  for (const ir::Attribute& attribute : attention.attributes())
    result->producer()->add_attribute(attribute);
  result->producer()->name = attention.name;
  take_over(merge->output(), result);
  return true;
}

}  // namespace

bool fuse_heads(ir::Model& model, const PassContext& context) {
  const auto facts = facts_of(model, context);
  bool changed = false;
  for_each_graph(model, [&](ir::Graph& graph) {
    std::vector<ir::Node*> nodes;
    for (const auto& node : graph.nodes()) {
      if (node->is("Attention")) nodes.push_back(node.get());
    }
    for (ir::Node* node : nodes) changed |= fuse_layouts(*node, *facts);
  });
  return changed;
}

}  // namespace tercel::passes
