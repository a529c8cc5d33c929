#include "src/ir/verify.h"

#include <map>
#include <string_view>
#include <tuple>
#include <unordered_set>
#include <vector>

#include "src/base/fail.h"

namespace tercel::ir {
namespace {

using FunctionKey = std::tuple<std::string_view, std::string_view, std::string_view>;
using Callees = std::vector<std::size_t>;  // indices of functions

// Checks one top graph, of the model or of a function, and the subgraphs in it. Recursion goes as
// deep as subgraphs nest, never by nodes.
class Verifier {
 public:
  Verifier(const Model& model, const Function* function, Errc code,
           const std::map<FunctionKey, std::size_t>& functions)
      : function_(function),
        opsets_(function != nullptr ? function->opsets : model.opsets),
        code_(code),
        functions_(functions) {}

  // Adds the functions called to `callees`.
  void check(const Graph& graph, Callees& callees) {
    callees_ = &callees;
    if (graph.outer() != nullptr) broken(graph, "a top graph has a graph around it");
    check_graph(graph);
    if (inputs_ != uses_) {
      broken(graph, fmt::format("{} inputs of nodes, but {} uses of values", inputs_, uses_));
    }
  }

 private:
  [[noreturn]] void broken(const Graph& graph, std::string_view what) const {
    fail(code_, "graph \"{}\": {}", graph.name, what);
  }
  [[noreturn]] void broken(const Node& node, std::string_view what) const {
    fail(code_, "graph \"{}\": node {}: {}", node.graph().name, node.label(), what);
  }

  void check_graph(const Graph& graph) {
    std::vector<const Value*> leaves = leaves_of(graph);
    names_.reserve(names_.size() + leaves.size() + graph.nodes().size());
    for (const Value* leaf : leaves) declare(graph, *leaf, nullptr);
    for (const auto& node : graph.nodes()) {
      for (int i = 0; i < node->num_outputs(); ++i) {
        if (node->output(i) != nullptr) claim_name(graph, *node->output(i));
      }
    }
    for (const auto& node : graph.nodes()) check_node(graph, *node);
    for (const Value* output : graph.outputs()) {
      if (output == nullptr || !visible(output) || !output->is_graph_output()) {
        broken(graph, fmt::format("output \"{}\" is not a value of the graph",
                                  output != nullptr ? output->name() : ""));
      }
    }
    leave(graph, leaves);
  }

  static std::vector<const Value*> leaves_of(const Graph& graph) {
    std::vector<const Value*> leaves(graph.inputs().begin(), graph.inputs().end());
    for (const Value* value : graph.initializers()) {
      if (!value->is_graph_input()) leaves.push_back(value);
    }
    return leaves;
  }

  void claim_name(const Graph& graph, const Value& value) {
    if (value.name().empty()) broken(graph, "a value has no name");
    if (!names_.insert(value.name()).second) {
      broken(graph, fmt::format("two values are named \"{}\"", value.name()));
    }
  }

  void declare(const Graph& graph, const Value& value, const Node* producer) {
    if (producer == nullptr) claim_name(graph, value);
    if (&value.graph() != &graph || value.producer() != producer) {
      broken(graph, fmt::format("value \"{}\" does not know its place", value.name()));
    }
    for (const Use& use : value.uses()) {
      if (use.node->input(use.index) != &value) {
        broken(graph, fmt::format("value \"{}\" has a use that is none", value.name()));
      }
    }
    uses_ += value.uses().size();
    if (value.id() >= visible_.size()) visible_.resize(value.id() + 1, nullptr);
    visible_[value.id()] = &value;
  }

  bool visible(const Value* value) const {
    return value->id() < visible_.size() && visible_[value->id()] == value;
  }

  void check_node(const Graph& graph, const Node& node) {
    if (&node.graph() != &graph) broken(node, "belongs to another graph");
    for (const Value* input : node.inputs()) {
      if (input == nullptr) continue;
      ++inputs_;
      if (!visible(input)) {
        broken(node, fmt::format("input \"{}\" is not computed before it", input->name()));
      }
    }
    check_operator(node);
    for (const Attribute& attribute : node.attributes()) check_attribute(node, attribute);
    for (int i = 0; i < node.num_outputs(); ++i) {
      const Value* output = node.output(i);
      if (output == nullptr) continue;
      if (output->output_index() != i) broken(node, "an output does not know its place");
      declare(graph, *output, &node);
    }
  }

  void check_operator(const Node& node) {
    const auto callee = functions_.find({node.domain(), node.op_type(), node.overload});
    if (callee != functions_.end() && (last_callee_ != callee->second)) {
      callees_->push_back(callee->second);
      last_callee_ = callee->second;
    }
    if (node.domain() == last_domain_) return;
    if (!opsets_.contains(node.domain())) {
      broken(node, fmt::format("the operator set \"{}\" is not imported", node.domain()));
    }
    last_domain_ = node.domain();
  }

  void check_attribute(const Node& node, const Attribute& attribute) {
    if (!attribute.ref.empty()) return check_reference(node, attribute);
    const auto check_sub = [&](const std::shared_ptr<Graph>& graph) {
      if (graph == nullptr || graph->outer() != &node.graph()) {
        broken(node, fmt::format("attribute \"{}\": its graph belongs elsewhere", attribute.name));
      }
      check_graph(*graph);
    };
    if (const auto* graph = std::get_if<std::shared_ptr<Graph>>(&attribute.data)) {
      check_sub(*graph);
    } else if (const auto* graphs =
                   std::get_if<std::vector<std::shared_ptr<Graph>>>(&attribute.data)) {
      for (const auto& sub : *graphs) check_sub(sub);
    } else if (std::holds_alternative<std::monostate>(attribute.data)) {
      broken(node, fmt::format("attribute \"{}\" has no value", attribute.name));
    }
  }

  void check_reference(const Node& node, const Attribute& attribute) const {
    if (function_ == nullptr) {
      broken(node, fmt::format("attribute \"{}\" refers to \"@{}\" outside of a function",
                               attribute.name, attribute.ref));
    }
    for (const auto& known : function_->attributes) {
      if (known == attribute.ref) return;
    }
    for (const auto& known : function_->defaults) {
      if (known.name == attribute.ref) return;
    }
    broken(node, fmt::format("attribute \"{}\" refers to \"@{}\", which the function has not",
                             attribute.name, attribute.ref));
  }

  // Values of a subgraph are not seen outside of it.
  void leave(const Graph& graph, const std::vector<const Value*>& leaves) {
    if (graph.outer() == nullptr) return;
    const auto forget = [&](const Value* value) {
      visible_[value->id()] = nullptr;
      names_.erase(value->name());
    };
    for (const Value* leaf : leaves) forget(leaf);
    for (const auto& node : graph.nodes()) {
      for (int i = 0; i < node->num_outputs(); ++i) {
        if (node->output(i) != nullptr) forget(node->output(i));
      }
    }
  }

  const Function* function_;
  const std::map<std::string, int64_t>& opsets_;
  Errc code_;
  const std::map<FunctionKey, std::size_t>& functions_;
  Callees* callees_ = nullptr;
  std::size_t last_callee_ = SIZE_MAX;
  std::string_view last_domain_ = "\n";  // no domain's name
  std::vector<const Value*> visible_;    // by Value::id()
  std::unordered_set<std::string_view> names_;
  std::size_t inputs_ = 0;
  std::size_t uses_ = 0;
};

// Takes away functions that nobody left calls; what stays is recursive.
void check_recursion(const Model& model, const std::vector<Callees>& callees, Errc code) {
  std::vector<std::size_t> callers(callees.size(), 0);
  for (const Callees& called : callees) {
    for (const std::size_t callee : called) ++callers[callee];
  }
  std::vector<std::size_t> free;
  for (std::size_t i = 0; i < callers.size(); ++i) {
    if (callers[i] == 0) free.push_back(i);
  }
  std::size_t taken = 0;
  for (; !free.empty(); ++taken) {
    const std::size_t function = free.back();
    free.pop_back();
    for (const std::size_t callee : callees[function]) {
      if (--callers[callee] == 0) free.push_back(callee);
    }
  }
  if (taken == callees.size()) return;
  for (std::size_t i = 0; i < callers.size(); ++i) {
    if (callers[i] == 0) continue;
    fail(code, "functions call each other in a circle, which holds or calls \"{}\"",
         model.functions[i]->name);
  }
}

}  // namespace

void verify(const Model& model, Errc code) {
  std::map<FunctionKey, std::size_t> functions;
  for (std::size_t i = 0; i < model.functions.size(); ++i) {
    const Function& function = *model.functions[i];
    if (!functions.emplace(FunctionKey{function.domain, function.name, function.overload}, i)
             .second) {
      fail(code, "two functions are named \"{}\"", function.name);
    }
  }
  Callees ignored;
  Verifier(model, nullptr, code, functions).check(model.graph, ignored);
  std::vector<Callees> callees(model.functions.size());
  for (std::size_t i = 0; i < callees.size(); ++i) {
    Verifier(model, model.functions[i].get(), code, functions)
        .check(model.functions[i]->body, callees[i]);
  }
  check_recursion(model, callees, code);
}

}  // namespace tercel::ir
