#include "src/passes/evaluation_mode.h"

#include <string>

#include "src/base/fail.h"
#include "src/passes/match.h"

namespace tercel::passes {
namespace {

constexpr int kMean = 3;  // of BatchNormalization's inputs
constexpr int kVariance = 4;
constexpr int kTrainingMode = 2;  // of Dropout's

// Without its third input a Dropout is in evaluation.
bool evaluate_dropout(ir::Node& node) {
  ir::Value* mode = node.input(kTrainingMode);
  if (mode == nullptr) return false;
  const bool known = mode->is_constant() && mode->initializer().dtype() == Dtype::boolean &&
                     mode->initializer().size() == 1;
  const bool trains = !known || mode->initializer().values<bool>()[0];
  node.set_input(kTrainingMode, nullptr);
  node.remove_trailing_inputs();
  return trains;
}

// Outputs 1 and 2 are the running statistics; 3 and 4, before opset 14, those of the batch.
bool evaluate_batch_norm(ir::Node& node) {
  bool trains = node.int_or("training_mode", 0) != 0;
  node.remove_attribute("training_mode");
  for (int i = node.num_outputs() - 1; i > 0; --i) {
    ir::Value* output = node.output(i);
    if (output == nullptr) continue;
    trains = true;
    if (output->is_graph_output()) {
      fail(Errc::unsupported,
           "{} output {} is one of the model's, and only training gives it: take it away, or "
           "export the model for inference",
           node.label(), i);
    }
    node.graph().replace_uses(output, node.input(i % 2 == 1 ? kMean : kVariance));
    node.drop_output(i);
  }
  return trains;
}

int evaluate_graph(ir::Graph& graph) {
  int count = 0;
  for (const auto& node : graph.nodes()) {
    for_each_subgraph(*node, [&](ir::Graph& inner) { count += evaluate_graph(inner); });
    if (node->is("Dropout")) count += evaluate_dropout(*node) ? 1 : 0;
    if (node->is("BatchNormalization")) count += evaluate_batch_norm(*node) ? 1 : 0;
  }
  return count;
}

}  // namespace

void use_evaluation_mode(ir::Model& model) {
  int count = evaluate_graph(model.graph);
  for (const auto& function : model.functions) count += evaluate_graph(function->body);
  if (count == 0) return;
  model.warnings.push_back(fmt::format(
      "the model was exported in training mode: {} of its operators (Dropout, BatchNormalization) "
      "run as in evaluation",
      count));
}

}  // namespace tercel::passes
