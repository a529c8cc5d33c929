#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>

#include "src/ir/text.h"
#include "src/ir/verify.h"
#include "src/passes/match.h"
#include "src/passes/test_support.h"

namespace tercel::passes {
namespace {

class Canonical {
 public:
  void graph(const ir::Graph& graph) {
    for (const ir::Value* input : graph.inputs()) text_ += name(input) + " ";
    text_ += "=>";
    for (const auto& node : graph.nodes()) this->node(*node);
    text_ += "\n=>";
    for (const ir::Value* output : graph.outputs()) text_ += " " + name(output);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string name(const ir::Value* value) {
    if (value == nullptr) return "_";
    if (value->is_constant()) return constant(value->initializer());
    if (value->is_graph_input() || value->is_graph_output()) return value->name();
    const auto [found, added] = names_.emplace(value, "v" + std::to_string(names_.size()));
    return found->second;
  }

  static std::string constant(const Tensor& tensor) {
    std::string text =
        fmt::format("{}[{}]{{", to_string(tensor.dtype()), fmt::join(tensor.shape(), ","));
    const auto add = [&](const auto& values) {
      for (const auto& value : values) text += fmt::format("{} ", value);
    };
    if (tensor.dtype() == Dtype::f32) add(tensor.values<float>());
    if (tensor.dtype() == Dtype::i64) add(tensor.values<int64_t>());
    if (tensor.dtype() == Dtype::boolean) add(tensor.values<bool>());
    return text + "}";
  }

  void attribute(const ir::Attribute& attribute) {
    text_ += " " + attribute.name + "=";
    if (const auto* number = std::get_if<float>(&attribute.data))
      text_ += fmt::format("{}", *number);
    if (const auto* integer = std::get_if<int64_t>(&attribute.data))
      text_ += fmt::format("{}", *integer);
    if (const auto* string = std::get_if<std::string>(&attribute.data)) text_ += *string;
    if (const auto* integers = std::get_if<std::vector<int64_t>>(&attribute.data))
      text_ += fmt::format("{}", fmt::join(*integers, ","));
    if (const auto* inner = std::get_if<std::shared_ptr<ir::Graph>>(&attribute.data)) {
      text_ += "{";
      graph(**inner);
      text_ += "}";
    }
  }

  void node(const ir::Node& node) {
    text_ += "\n ";
    std::string inputs;
    for (const ir::Value* input : node.inputs()) inputs += " " + name(input);
    for (int i = 0; i < node.num_outputs(); ++i) text_ += " " + name(node.output(i));
    text_ += " = " + node.op_type() + inputs + " <";
    std::vector<const ir::Attribute*> attributes;
    for (const ir::Attribute& each : node.attributes()) attributes.push_back(&each);
    std::sort(attributes.begin(), attributes.end(),
              [](const auto* a, const auto* b) { return a->name < b->name; });
    for (const ir::Attribute* each : attributes) attribute(*each);
    text_ += " >";
  }

  std::string text_;
  std::unordered_map<const ir::Value*, std::string> names_;
};

std::unique_ptr<ir::Model> parse_graph(const std::string& graph) {
  return ir::parse_text("<ir_version: 10, opset_import: [\"\" : 28, \"local\" : 1]>\ng " + graph);
}

}  // namespace

std::string canonical_text(const ir::Graph& graph) {
  Canonical canonical;
  canonical.graph(graph);
  return canonical.take();
}

Outcome rewrite(bool (*run)(ir::Model&, const PassContext&), const std::string& text,
                const std::string& expected, const PassContext& context) {
  const auto model = parse_graph(text);
  const auto wanted = parse_graph(expected);
  Outcome outcome;
  outcome.changed = run(*model, context);
  for (const Pass& pass : all_passes()) {
    if (pass.name == "eliminate_dead") pass.run(*model, context);
  }
  ir::verify(*model, Errc::internal);
  outcome.actual = canonical_text(model->graph);
  outcome.expected = canonical_text(wanted->graph);
  return outcome;
}

}  // namespace tercel::passes
