#include "src/passes/adapt.h"

#include <algorithm>
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

ir::Builder Adaptation::builder_after() const {
  const auto& nodes = node.graph().nodes();
  const auto next = std::next(
      std::find_if(nodes.begin(), nodes.end(),
                   [&](const std::unique_ptr<ir::Node>& other) { return other.get() == &node; }));
  return ir::Builder(node.graph(), next != nodes.end() ? next->get() : nullptr);
}

namespace {

// The attribute of Constant that holds what an attribute of this kind does; empty for others.
std::string constant_attribute(const ir::Attribute& attribute) {
  // AttributeProto.AttributeType
  constexpr int32_t kFloat = 1, kInt = 2, kFloats = 6, kInts = 7;
  const auto is = [&](std::size_t alternative, int32_t kind) {
    return attribute.ref.empty() ? attribute.data.index() == alternative
                                 : attribute.ref_type == kind;
  };
  if (is(1, kFloat)) return "value_float";
  if (is(2, kInt)) return "value_int";
  if (is(7, kFloats)) return "value_floats";
  return is(8, kInts) ? "value_ints" : std::string();
}

}  // namespace

ir::Value* Adaptation::taken(std::string_view name) const {
  const ir::Attribute* found = node.find_attribute(name);
  if (found == nullptr) return nullptr;
  ir::Attribute held = *found;
  held.name = constant_attribute(held);
  if (held.name.empty()) {
    fail(Errc::invalid_file, "{} attribute \"{}\": expected numbers", node.label(), name);
  }
  node.remove_attribute(name);
  ir::Builder b = builder();
  if (!held.ref.empty() || in_function) {
    ir::Node* constant = b.node("Constant", {}, 1);
    constant->add_attribute(std::move(held));
    return constant->output();
  }
  if (const auto* ints = std::get_if<std::vector<int64_t>>(&held.data)) return b.ints(*ints);
  if (const auto* number = std::get_if<int64_t>(&held.data)) return b.int_scalar(*number);
  if (const auto* number = std::get_if<float>(&held.data)) return b.scalar(*number);
  const auto& floats = std::get<std::vector<float>>(held.data);
  return b.constant(Tensor::from(floats, {static_cast<int64_t>(floats.size())}));
}

ir::Value* Adaptation::like(ir::Value* value, ir::Value* other) const {
  const ir::Type* type = facts.type(other);
  const Dtype dtype = type != nullptr ? type->dtype : Dtype::undefined;
  ir::Builder b = builder();
  if (dtype == Dtype::undefined) return b.op("CastLike", {value, other});
  const bool same = value->is_constant() && value->initializer().dtype() == dtype;
  return same ? value : b.cast(value, dtype);
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

void check_version(int64_t opset, ir::Model& model) {
  if (opset < kOldestOpset || opset > ir::kOpset + 1) {
    fail(Errc::unsupported,
         "the model is written for ONNX opset {}; {} to {} are read: convert it with "
         "onnx.version_converter, or export it again",
         opset, kOldestOpset, ir::kOpset);
  }
  if (opset <= ir::kOpset) return;
  const std::string warning = fmt::format(
      "the model is written for ONNX opset {}, newer than {}, the newest that is known: its "
      "operators are taken to mean what they mean there",
      opset, ir::kOpset);
  if (model.warnings.empty() || model.warnings.back() != warning) model.warnings.push_back(warning);
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
  explicit Adapting(ir::Model& model) : model_(model) {}

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
      } else {
        adapt_foreign(*nodes[i], in_function);
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

  // Axes that an adapter made inputs are constants that nobody has seen before. Functions are not
  // looked into: they are younger than the opsets whose ranks matter.
  void infer(const ir::Node& node) {
    for (const ir::Value* input : node.inputs()) {
      if (input != nullptr && input->is_constant()) facts_.learn(input, input->initializer());
    }
    ops::infer_node(node, facts_, nullptr);
  }

  void adapt(ir::Node& node, int64_t opset, bool in_function) {
    for (const Adapter& adapter : adapters()) {
      if (adapter.op_type == node.op_type() && opset < adapter.below)
        adapter.adapt({node, facts_, in_function, model_});
    }
  }

  void adapt_foreign(ir::Node& node, bool in_function) {
    for (const ForeignOp& foreign : foreign_ops()) {
      if (foreign.domain != node.domain() || foreign.op_type != node.op_type()) continue;
      if (node.output() == nullptr)
        fail(Errc::invalid_file, "{} its output is left out", node.label());
      return foreign.adapt({node, facts_, in_function, model_});
    }
  }

  ir::Model& model_;
  ops::Facts facts_;
};

}  // namespace

void adapt_to_newest(ir::Model& model) {
  const int64_t opset = main_opset(model.opsets, ir::kOpset);
  check_version(opset, model);
  Adapting adapting(model);
  for (const auto& function : model.functions) {
    const int64_t own = main_opset(function->opsets, opset);
    check_version(own, model);
    adapting.graph(function->body, own, true);
    function->opsets[""] = ir::kOpset;
  }
  adapting.graph(model.graph, opset, false);
  model.opsets[""] = ir::kOpset;
}

}  // namespace tercel::passes
