#include <set>
#include <tuple>

#include "src/ops/op_def.h"
#include "src/passes/match.h"
#include "src/passes/pass_list.h"

namespace tercel::passes {
namespace {

bool used(const ir::Value* value) {
  return value != nullptr && (!value->uses().empty() || value->is_graph_output());
}

// Operators whose number of outputs says something (Split, If, Loop) keep them all.
bool drop_optional_outputs(ir::Node& node) {
  const ops::OpDef* def = ops::find_op(node.domain(), node.op_type());
  if (def == nullptr || def->max_outputs == ops::kVariadic) return false;
  bool changed = false;
  for (int i = def->min_outputs; i < node.num_outputs(); ++i) {
    if (node.output(i) == nullptr || used(node.output(i))) continue;
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
    for (int i = 0; i < (*node)->num_outputs(); ++i) alive |= used((*node)->output(i));
    if (alive) {
      for_each_subgraph(**node, [&](ir::Graph& inner) { changed |= run(inner); });
      changed |= drop_optional_outputs(**node);
    } else {
      graph.erase(*node);
      changed = true;
    }
  }
  for (ir::Value* initializer : graph.initializers()) {
    if (initializer->is_graph_input() || used(initializer)) continue;
    graph.erase_leaf(initializer);
    changed = true;
  }
  return changed;
}

using Name = std::tuple<std::string, std::string, std::string>;

void collect_calls(const ir::Graph& graph, std::set<Name>& called) {
  for (const auto& node : graph.nodes()) {
    called.insert({node->domain(), node->op_type(), node->overload});
    for_each_subgraph(*node, [&](ir::Graph& inner) { collect_calls(inner, called); });
  }
}

bool drop_functions(ir::Model& model) {
  if (model.functions.empty()) return false;
  std::set<Name> called;
  collect_calls(model.graph, called);
  for (std::size_t before = 0; before != called.size();) {
    before = called.size();
    for (const auto& function : model.functions) {
      if (called.contains({function->domain, function->name, function->overload}))
        collect_calls(function->body, called);
    }
  }
  const auto unused = [&](const std::unique_ptr<ir::Function>& function) {
    return !called.contains({function->domain, function->name, function->overload});
  };
  return std::erase_if(model.functions, unused) > 0;
}

}  // namespace

bool eliminate_dead(ir::Model& model, const PassContext&) {
  const bool changed = run(model.graph);
  return drop_functions(model) || changed;
}

}  // namespace tercel::passes
