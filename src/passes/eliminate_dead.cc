#include <map>
#include <set>
#include <string_view>
#include <tuple>
#include <vector>

#include "src/ops/op_def.h"
#include "src/passes/match.h"
#include "src/passes/pass_list.h"

namespace tercel::passes {
namespace {

// Operators whose number of outputs says something (Split, If, Loop) keep them all.
bool drop_optional_outputs(ir::Node& node) {
  const ops::OpDef* def = ops::find_op(node.domain(), node.op_type());
  if (def == nullptr || def->max_outputs == ops::kVariadic) return false;
  bool changed = false;
  for (int i = def->min_outputs; i < node.num_outputs(); ++i) {
    if (node.output(i) == nullptr || is_used(node.output(i))) continue;
    node.drop_output(i);
    changed = true;
  }
  return changed;
}

// Backwards, so that what only dead nodes use is found dead in the same walk.
bool run(ir::Graph& graph) {
  std::vector<ir::Node*> nodes;
  for (const auto& node : graph.nodes()) nodes.push_back(node.get());
  bool changed = false;
  for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
    bool alive = false;
    for (int i = 0; i < (*node)->num_outputs(); ++i) alive |= is_used((*node)->output(i));
    if (alive) {
      for_each_subgraph(**node, [&](ir::Graph& inner) { changed |= run(inner); });
      changed |= drop_optional_outputs(**node);
    } else {
      graph.erase(*node);
      changed = true;
    }
  }
  for (ir::Value* initializer : graph.initializers()) {
    if (initializer->is_graph_input() || is_used(initializer)) continue;
    graph.erase_leaf(initializer);
    changed = true;
  }
  return changed;
}

using Name = std::tuple<std::string_view, std::string_view, std::string_view>;

void collect_calls(const ir::Graph& graph, std::set<Name>& called, std::vector<Name>& fresh) {
  for (const auto& node : graph.nodes()) {
    const Name name{node->domain(), node->op_type(), node->overload};
    if (called.insert(name).second) fresh.push_back(name);
    for_each_subgraph(*node, [&](ir::Graph& inner) { collect_calls(inner, called, fresh); });
  }
}

bool drop_functions(ir::Model& model) {
  if (model.functions.empty()) return false;
  const auto name_of = [](const ir::Function& function) {
    return Name{function.domain, function.name, function.overload};
  };
  std::map<Name, const ir::Function*> functions;
  for (const auto& function : model.functions)
    functions.emplace(name_of(*function), function.get());
  std::set<Name> called;
  std::vector<Name> fresh;
  collect_calls(model.graph, called, fresh);
  while (!fresh.empty()) {
    const auto function = functions.find(fresh.back());
    fresh.pop_back();
    if (function != functions.end()) collect_calls(function->second->body, called, fresh);
  }
  // Marked first: the names are those of nodes that go with their functions.
  std::set<const ir::Function*> unused;
  for (const auto& function : model.functions) {
    if (!called.contains(name_of(*function))) unused.insert(function.get());
  }
  return std::erase_if(model.functions,
                       [&](const auto& function) { return unused.contains(function.get()); }) > 0;
}

}  // namespace

bool eliminate_dead(ir::Model& model, const PassContext&) {
  const bool changed = run(model.graph);
  return drop_functions(model) || changed;
}

}  // namespace tercel::passes
