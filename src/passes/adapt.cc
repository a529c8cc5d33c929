#include "src/passes/adapt.h"

#include <iterator>

#include "src/base/fail.h"
#include "src/ops/op_def.h"
#include "src/passes/adapters/adapters.h"

namespace tercel::passes {

ir::Value* Adaptation::constant(Tensor tensor) const {
  ir::Builder b = builder();
  return in_function ? b.op("Constant", {}, {{"value", std::move(tensor)}})
                     : b.constant(std::move(tensor));
}

ir::Value* Adaptation::ints(const std::vector<int64_t>& values) const {
  return constant(Tensor::from(values, {static_cast<int64_t>(values.size())}));
}

void Adaptation::require_value(std::string_view attribute) const {
  const ir::Attribute* found = node.find_attribute(attribute);
  if (found == nullptr || found->ref.empty()) return;
  fail(Errc::unsupported,
       "{} attribute \"{}\" is a parameter of a function written for an old opset; convert the "
       "model to opset {} first",
       node.label(), attribute, ir::kOpset);
}

namespace {

int64_t main_opset(const std::map<std::string, int64_t>& opsets, int64_t otherwise) {
  const auto found = opsets.find("");
  return found != opsets.end() ? found->second : otherwise;
}

void check_version(int64_t opset) {
  if (opset >= kOldestOpset) return;
  fail(Errc::unsupported,
       "the model is written for ONNX opset {}; {} to {} are read: convert it with "
       "onnx.version_converter, or export it again",
       opset, kOldestOpset, ir::kOpset);
}

// A newer opset is taken as far as its operators are known: they most often mean the same.
void check_known(const ir::Node& node, int64_t opset) {
  if (opset <= ir::kOpset || ops::find_op({}, node.op_type()) != nullptr) return;
  fail(Errc::unsupported,
       "{} the model is written for ONNX opset {}, and the operator is not known at {}, the newest "
       "that is read",
       node.label(), opset, ir::kOpset);
}

// Only adapters below this opset (Softmax) look at the ranks of values.
constexpr int64_t kRanksMatterBelow = 13;

class Adapting {
 public:
  explicit Adapting(const ir::Model& model) : model_(model) {}

  void graph(const ir::Graph& graph, int64_t opset, bool in_function) {
    // Adapters add nodes around the one they adapt: those are of the newest opset already.
    std::vector<ir::Node*> nodes;
    for (const auto& node : graph.nodes()) nodes.push_back(node.get());
    ir::Graph::Nodes::const_iterator inferred = graph.nodes().end();
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      subgraphs(*nodes[i], opset, in_function);
      if (nodes[i]->domain().empty()) {
        check_known(*nodes[i], opset);
        adapt(*nodes[i], opset, in_function);
      }
      if (opset >= kRanksMatterBelow || in_function) continue;
      const ir::Node* next = i + 1 < nodes.size() ? nodes[i + 1] : nullptr;
      auto at = inferred == graph.nodes().end() ? graph.nodes().begin() : std::next(inferred);
      for (; at != graph.nodes().end() && at->get() != next; inferred = at++) infer(**at);
    }
  }

 private:
  void subgraphs(const ir::Node& node, int64_t opset, bool in_function) {
    for (const ir::Attribute& attribute : node.attributes()) {
      if (const auto* sub = std::get_if<std::shared_ptr<ir::Graph>>(&attribute.data))
        graph(**sub, opset, in_function);
      if (const auto* subs =
              std::get_if<std::vector<std::shared_ptr<ir::Graph>>>(&attribute.data)) {
        for (const auto& each : *subs) graph(*each, opset, in_function);
      }
    }
  }

  // Axes that an adapter made inputs are constants that nobody has seen before.
  void infer(const ir::Node& node) {
    for (const ir::Value* input : node.inputs()) {
      if (input != nullptr && input->is_constant()) facts_.learn(input, input->initializer());
    }
    ops::infer_node(node, facts_, &model_);
  }

  void adapt(ir::Node& node, int64_t opset, bool in_function) {
    for (const Adapter& adapter : adapters()) {
      if (adapter.op_type == node.op_type() && opset < adapter.below)
        adapter.adapt({node, facts_, in_function});
    }
  }

  const ir::Model& model_;
  ops::Facts facts_;
};

}  // namespace

void adapt_to_newest(ir::Model& model) {
  const int64_t opset = main_opset(model.opsets, ir::kOpset);
  check_version(opset);
  Adapting adapting(model);
  for (const auto& function : model.functions) {
    const int64_t own = main_opset(function->opsets, opset);
    check_version(own);
    adapting.graph(function->body, own, true);
    function->opsets[""] = ir::kOpset;
  }
  adapting.graph(model.graph, opset, false);
  model.opsets[""] = ir::kOpset;
}

}  // namespace tercel::passes
