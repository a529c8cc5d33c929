// A padded encoder becomes one over packed rows. A second graph over [tokens, …] is built beside
// the padded one, node by node; when every node has a packed meaning, the outputs are moved to it,
// and otherwise it is left to eliminate_dead.

#include <algorithm>

#include "src/base/fail.h"
#include "src/passes/own_functions.h"
#include "src/passes/packed_functions.h"
#include "src/passes/packed_heads.h"
#include "src/passes/packed_operators.h"
#include "src/passes/padding_mask.h"
#include "src/passes/pass_list.h"

namespace tercel::passes {
namespace {

constexpr const char* kNote = "tercel.rows";

// The graph input that says which tokens are real; null where the graph has none to pack by, with
// the reason when it could be expected to have one.
ir::Value* find_mask(const ir::Graph& graph, PackedValues& values, std::string& reason) {
  ir::Value* found = nullptr;
  for (const auto& node : graph.nodes()) {
    if (!node->is("Attention") || node->input(3) == nullptr) continue;
    const auto mask = read_padding_mask(node->input(3), values.elements(), values.facts(), reason);
    if (!mask) {
      reason = node->label() + " " + reason;
      return nullptr;
    }
    for (ir::Value* input : graph.inputs()) {
      if (input == mask->input) found = input;
    }
    break;
  }
  const ir::Dims* dims = found != nullptr ? dims_of(found, values.facts()) : nullptr;
  if (dims == nullptr || dims->size() != 2) return nullptr;
  if ((*dims)[0].symbolic() && (*dims)[1].symbolic()) return found;
  reason = fmt::format("input \"{}\" has a fixed size, {}", found->name(), ir::to_string(*dims));
  return nullptr;
}

// Puts the outputs that are packed rows back at their places.
bool finish_outputs(ir::Graph& graph, PackedValues& values) {
  for (ir::Value* output : graph.outputs()) {
    if (values.layout_of(output) == Layout::none) continue;
    if (values.layout_of(output) != Layout::tokens)
      return values.refuse(*output->producer(), "is an output that is not [batch, sequence, …]");
    ir::Builder b(graph);
    values.replace(output, values.unpacked(b, output));
  }
  return true;
}

bool has_packed_attention(const ir::Graph& graph) {
  return std::any_of(graph.nodes().begin(), graph.nodes().end(), [](const auto& node) {
    return node->domain() == kOwnDomain && node->op_type() == "PackedAttention";
  });
}

// What the model's metadata is to say; empty when there is nothing to unpad.
std::string pack_rows(ir::Model& model) {
  ir::Graph& graph = model.graph;
  PackedValues values(model);
  std::string reason;
  ir::Value* mask = find_mask(graph, values, reason);
  if (mask == nullptr) return reason.empty() ? reason : "padded: " + reason;
  std::vector<ir::Node*> nodes;
  for (const auto& node : graph.nodes()) nodes.push_back(node.get());
  values.add_index(mask, nodes.front());
  for (ir::Node* node : nodes) {
    if (!pack(values, *node)) return "padded: " + values.reason();
  }
  if (!finish_outputs(graph, values)) return "padded: " + values.reason();
  if (!has_packed_attention(graph)) return "padded: no attention has tokens to pack";
  add_packed_functions(model);
  values.commit();
  return "packed";
}

bool may_be_padded(const ir::Model& model) {
  const auto& nodes = model.graph.nodes();
  const bool decided = std::any_of(model.metadata.begin(), model.metadata.end(),
                                   [](const auto& entry) { return entry.first == kNote; });
  return !decided && std::any_of(nodes.begin(), nodes.end(), [](const auto& node) {
    return node->is("Attention") && node->input(3) != nullptr;
  });
}

}  // namespace

bool unpad(ir::Model& model, const PassContext& context) {
  if (!may_be_padded(model)) return false;
  const std::string note = pack_rows(model);
  if (note.empty()) return false;
  model.metadata.emplace_back(kNote, note);
  eliminate_dead(model, context);
  if (note != "packed") return false;
  narrow_heads(model);
  eliminate_dead(model, context);
  return true;
}

}  // namespace tercel::passes
