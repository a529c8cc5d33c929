#include "src/runtime/rounding.h"

#include <algorithm>

namespace tercel::runtime {
namespace {

class Finder {
 public:
  Finder(const std::unordered_map<const ir::Node*, FusedGroup>& groups,
         FunctionRef<bool(const ir::Node&, const ops::Epilogue&, ops::Rounding)> accepts)
      : groups_(groups), accepts_(accepts) {}

  // What the step that begins with the product gives; null when it must stay f32.
  const ir::Value* rounded_output(const ir::Node& node) const {
    const auto group = groups_.find(&node);
    const ir::Node& last = group != groups_.end() ? *group->second.nodes.back() : node;
    const ir::Value* output = last.output();
    if (output->is_graph_output() || output->uses().empty()) return nullptr;
    const bool read_by_products =
        std::all_of(output->uses().begin(), output->uses().end(), [&](const auto& use) {
          return use.node->is("MatMul") && use.node->input(1) != output &&
                 accepts(*use.node, {true, false});
        });
    return read_by_products && accepts(node, {false, true}) ? output : nullptr;
  }

 private:
  bool accepts(const ir::Node& node, ops::Rounding rounding) const {
    const auto group = groups_.find(&node);
    return accepts_(node, group != groups_.end() ? group->second.epilogue : ops::Epilogue{},
                    rounding);
  }

  const std::unordered_map<const ir::Node*, FusedGroup>& groups_;
  FunctionRef<bool(const ir::Node&, const ops::Epilogue&, ops::Rounding)> accepts_;
};

// Products that are computed together give f32.
bool shares_its_input(const ir::Node& node) {
  const auto& uses = node.input(0)->uses();
  return std::count_if(uses.begin(), uses.end(),
                       [](const auto& use) { return use.node->is("MatMul"); }) > 1;
}

}  // namespace

ValueSet find_rounded(
    const ir::Graph& graph, const std::unordered_map<const ir::Node*, FusedGroup>& groups,
    FunctionRef<bool(const ir::Node&, const ops::Epilogue&, ops::Rounding)> accepts) {
  const Finder finder(groups, accepts);
  ValueSet found;
  for (const auto& node : graph.nodes()) {
    if (!node->is("MatMul") || node->input(0) == nullptr || shares_its_input(*node)) continue;
    if (const ir::Value* output = finder.rounded_output(*node)) found.insert(output);
  }
  return found;
}

}  // namespace tercel::runtime
