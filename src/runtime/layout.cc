#include "src/runtime/layout.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace tercel::runtime {
namespace {

// Element by element: any layout will do when the operands share it.
constexpr std::array<std::string_view, 25> kPointwise{"Abs",       "Add",
                                                      "Clip",      "DequantizeLinear",
                                                      "Div",       "Elu",
                                                      "Erf",       "Exp",
                                                      "Gelu",      "HardSigmoid",
                                                      "HardSwish", "LeakyRelu",
                                                      "Max",       "Min",
                                                      "Mish",      "Mul",
                                                      "Neg",       "QuantizeLinear",
                                                      "Relu",      "Selu",
                                                      "Sigmoid",   "Softplus",
                                                      "Sub",       "Swish",
                                                      "Tanh"};

bool is_number(const ir::Value* value) {
  return value->is_constant() && value->initializer().size() == 1;
}

// Only images of f32 or bytes have layouts to choose from.
bool is_image(const ir::Type* type) {
  if (type == nullptr || !type->has_rank() || type->rank() < 3) return false;
  return type->dtype == Dtype::f32 || type->dtype == Dtype::u8 || type->dtype == Dtype::i8;
}

bool same_dims(const ir::Type* a, const ir::Type* b) {
  if (a == nullptr || b == nullptr || !a->dims || !b->dims) return false;
  return std::equal(a->dims->begin(), a->dims->end(), b->dims->begin(), b->dims->end(),
                    [](const ir::Dim& x, const ir::Dim& y) { return x.equals(y); });
}

class Chooser {
 public:
  explicit Chooser(const ops::Facts& facts) : facts_(facts) {}

  // The step of `node` takes `inputs` and gives `output` in either layout.
  void offer(std::vector<const ir::Value*> inputs, const ir::Value* output) {
    offers_.push_back({std::move(inputs), output});
  }
  // … when all of them have the same.
  void tie(std::vector<const ir::Value*> values) { ties_.push_back(std::move(values)); }

  void offer_pointwise(const ir::Node& node) {
    std::vector<const ir::Value*> operands;
    bool fits = node.num_outputs() == 1;
    for (const ir::Value* operand : node.inputs()) {
      if (operand == nullptr || is_number(operand)) continue;
      operands.push_back(operand);
      fits = fits && same_dims(facts_.type(operand), facts_.type(node.output()));
    }
    if (!fits) return;
    offer(operands, node.output());
    operands.push_back(node.output());
    tie(std::move(operands));
  }

  ValueSet choose() {
    for (const auto& [inputs, output] : offers_) {
      for (const ir::Value* input : inputs) ++taken_[input];
    }
    for (const auto& [inputs, output] : offers_) {
      if (fits(output)) chosen_.insert(output);
    }
    bool changed = true;
    while (changed) {
      changed = false;
      for (const auto& tie : ties_) {
        const auto chosen = [&](const ir::Value* value) { return chosen_.contains(value); };
        if (std::all_of(tie.begin(), tie.end(), chosen)) continue;
        for (const ir::Value* value : tie) changed |= chosen_.erase(value) > 0;
      }
    }
    return std::move(chosen_);
  }

 private:
  struct Offer {
    std::vector<const ir::Value*> inputs;
    const ir::Value* output;
  };

  // An image that depends on the run, and that each of its users takes.
  bool fits(const ir::Value* value) const {
    if (!is_image(facts_.type(value))) return false;
    const auto taken = taken_.find(value);
    return !value->is_graph_output() && taken != taken_.end() &&
           taken->second == value->uses().size();
  }

  const ops::Facts& facts_;
  std::vector<Offer> offers_;
  std::vector<std::vector<const ir::Value*>> ties_;
  std::unordered_map<const ir::Value*, std::size_t> taken_;  // uses that are offered
  ValueSet chosen_;
};

}  // namespace

bool is_pointwise(const ir::Node& node) {
  if (node.domain() == "tercel") return node.op_type() == "QLinearAdd";
  return node.domain().empty() &&
         std::find(kPointwise.begin(), kPointwise.end(), node.op_type()) != kPointwise.end();
}

ValueSet find_channels_last(
    const ir::Graph& graph, const ops::Facts& facts,
    const std::unordered_map<const ir::Node*, FusedGroup>& groups,
    FunctionRef<ops::KernelContext(const ir::Node&, const ops::Epilogue&)> context,
    FunctionRef<bool(const ops::KernelContext&)> takes) {
  ValueSet varies(graph.inputs().begin(), graph.inputs().end());
  std::unordered_set<const ir::Node*> grouped;
  for (const auto& [first, group] : groups)
    grouped.insert(group.nodes.begin() + 1, group.nodes.end());
  Chooser chooser(facts);
  for (const auto& owned : graph.nodes()) {
    const ir::Node& node = *owned;
    const bool known = std::none_of(node.inputs().begin(), node.inputs().end(),
                                    [&](const ir::Value* input) { return varies.contains(input); });
    if (known) continue;  // perhaps computed at load, where everything lies as its shape says
    for (int i = 0; i < node.num_outputs(); ++i) varies.insert(node.output(i));
    if (grouped.contains(&node) || node.input(0) == nullptr || node.output() == nullptr) continue;
    if (!is_image(facts.type(node.input(0))) && !is_image(facts.type(node.output()))) continue;
    if (is_pointwise(node)) {
      chooser.offer_pointwise(node);
      continue;
    }
    const auto group = groups.find(&node);
    const bool fused = group != groups.end();
    ops::KernelContext wanted = context(node, fused ? group->second.epilogue : ops::Epilogue{});
    wanted.layouts = {true, true};
    if (!takes(wanted)) continue;
    const ir::Value* output = (fused ? group->second.nodes.back() : &node)->output();
    // Of a Concat, all inputs are images.
    std::vector<const ir::Value*> images{node.input(0)};
    if (node.is("Concat")) images.assign(node.inputs().begin(), node.inputs().end());
    chooser.offer(images, output);
    wanted.layouts = {true, false};
    images.push_back(output);
    if (!takes(wanted)) chooser.tie(std::move(images));
    if (!fused || group->second.residual == nullptr) continue;
    chooser.offer({group->second.residual}, output);
    chooser.tie({group->second.residual, output});
  }
  return chooser.choose();
}

}  // namespace tercel::runtime
