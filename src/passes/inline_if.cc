#include "src/passes/match.h"
#include "src/passes/pass_list.h"
#include "src/passes/splice.h"

namespace tercel::passes {
namespace {

void inline_branch(ir::Node* node, const ir::Graph& branch) {
  ValueMap map;
  SpliceOptions options;
  options.scope = node->name.empty() ? std::string() : node->name + "/";
  splice(branch, node, map, options);
  for (int i = 0; i < node->num_outputs(); ++i) {
    ir::Value* output = node->output(i);
    if (output == nullptr) continue;
    ir::Value* result = branch.outputs()[static_cast<std::size_t>(i)];
    if (const auto found = map.find(result); found != map.end()) result = found->second;
    if (result->type.kind == ir::Type::Kind::unknown) result->type = output->type;
    output->graph().replace_uses(output, result);
  }
  node->graph().erase(node);
}

bool run(ir::Graph& graph) {
  std::vector<ir::Node*> nodes;
  for (const auto& node : graph.nodes()) {
    if (node->is("If") && scalar_of(node->input(0))) nodes.push_back(node.get());
  }
  for (ir::Node* node : nodes) {
    const bool holds = *scalar_of(node->input(0)) != 0;
    inline_branch(node, *node->subgraph(holds ? "then_branch" : "else_branch"));
  }
  return !nodes.empty();
}

}  // namespace

bool inline_if(ir::Model& model, const PassContext&) {
  bool changed = false;
  for_each_graph(model, [&](ir::Graph& graph) { changed |= run(graph); });
  return changed;
}

}  // namespace tercel::passes
