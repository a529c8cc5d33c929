#include "src/passes/match.h"
#include "src/passes/pass_list.h"

namespace tercel::passes {
namespace {

using Perm = std::vector<int64_t>;

struct Transposed {
  ir::Value* x;
  Perm perm;
};

// Transpose(Transpose(x)).
std::optional<Transposed> twice(const ir::Node& outer, const ops::Facts& facts) {
  const ir::Node* inner = made_by(outer.input(0), "Transpose");
  if (inner == nullptr) return std::nullopt;
  const auto first = perm_of(*inner, facts);
  const auto second = perm_of(outer, facts);
  if (!first || !second || first->size() != second->size()) return std::nullopt;
  Perm perm;
  for (const int64_t axis : *second) perm.push_back((*first)[static_cast<std::size_t>(axis)]);
  return Transposed{inner->input(0), perm};
}

// Reshape(Transpose<[0, 2, 1]>(Reshape(x))) from [..., m, n] over [rest, m, n] to [..., n, m], as
// exporters write the transpose of the last two axes at any rank.
std::optional<Transposed> flattened(const ir::Node& outer, const ops::Facts& facts) {
  const ir::Node* middle = made_by(outer.input(0), "Transpose");
  if (middle == nullptr || middle->ints_or("perm", {}) != Perm{0, 2, 1}) return std::nullopt;
  const ir::Node* inner = made_by(middle->input(0), "Reshape");
  if (inner == nullptr) return std::nullopt;
  const ir::Dims* from = dims_of(inner->input(0), facts);
  const ir::Dims* flat = dims_of(inner->output(), facts);
  const ir::Dims* to = dims_of(outer.output(), facts);
  if (from == nullptr || flat == nullptr || to == nullptr) return std::nullopt;
  const std::size_t rank = from->size();
  if (rank < 2 || to->size() != rank || flat->size() != 3) return std::nullopt;
  if (!(*flat)[1].equals((*from)[rank - 2]) || !(*flat)[2].equals((*from)[rank - 1]))
    return std::nullopt;
  ir::Dims swapped = *from;
  std::swap(swapped[rank - 2], swapped[rank - 1]);
  if (!equal_dims(swapped, *to)) return std::nullopt;
  Perm perm;
  for (std::size_t i = 0; i < rank; ++i) perm.push_back(static_cast<int64_t>(i));
  std::swap(perm[rank - 2], perm[rank - 1]);
  return Transposed{inner->input(0), perm};
}

bool run(ir::Graph& graph, const ops::Facts& facts) {
  bool changed = false;
  for (const auto& node : graph.nodes()) {
    std::optional<Transposed> merged;
    if (node->is("Transpose")) merged = twice(*node, facts);
    if (node->is("Reshape")) merged = flattened(*node, facts);
    if (!merged) continue;
    ir::Value* output = node->output();
    if (is_identity(merged->perm) && forward(output, merged->x)) {
      changed = true;
      continue;
    }
    take_over(output, ir::Builder(graph, node.get()).transpose(merged->x, merged->perm));
    changed = true;
  }
  return changed;
}

}  // namespace

bool merge_transposes(ir::Model& model, const PassContext& context) {
  const auto facts = facts_of(model, context);
  bool changed = false;
  for_each_graph(model, [&](ir::Graph& graph) { changed |= run(graph, *facts); });
  return changed;
}

}  // namespace tercel::passes
