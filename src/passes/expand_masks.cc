#include "src/passes/expand_masks.h"

#include "src/passes/match.h"

namespace tercel::passes {
namespace {

bool expand(ir::Node& attention, const ops::Facts& facts) {
  ir::Value* mask = attention.input(3);
  const ir::Dims* dims = dims_of(mask, facts);
  const ir::Dims* q = dims_of(attention.input(0), facts);
  if (dims == nullptr || q == nullptr || dims->size() < 2 || q->size() < 3) return false;
  const ir::Dim& rows = (*dims)[dims->size() - 2];
  const std::size_t axis = q->size() - 2;
  if (!rows.known() || rows.value() != 1 || (*q)[axis].equals(rows)) return false;

  ir::Builder b(attention.graph(), &attention);
  const auto start = static_cast<int64_t>(axis);
  ir::Value* length = b.op("Shape", {attention.input(0)}, {{"start", start}, {"end", start + 1}});
  ir::Value* one = b.ints({1});
  ir::Value* shape = b.op("Concat", {length, one}, {{"axis", int64_t{0}}});
  attention.set_input(3, b.op("Expand", {mask, shape}));
  return true;
}

}  // namespace

bool expand_masks(ir::Model& model) {
  const ops::Facts facts = infer_facts(model);
  bool changed = false;
  for_each_graph(model, [&](ir::Graph& graph) {
    for (const auto& node : graph.nodes()) {
      if (node->is("Attention") && node->input(3) != nullptr) changed |= expand(*node, facts);
    }
  });
  return changed;
}

}  // namespace tercel::passes
