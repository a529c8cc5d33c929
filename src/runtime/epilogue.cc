#include "src/runtime/epilogue.h"

#include <optional>
#include <unordered_set>

namespace tercel::runtime {
namespace {

const ir::Node* only_user(const ir::Value* value) {
  return value->uses().size() == 1 && !value->is_graph_output() ? value->uses()[0].node : nullptr;
}

// The other operand of a binary node that reads `value` once.
const ir::Value* other_operand(const ir::Node& node, const ir::Value* value) {
  return node.input(0) == value ? node.input(1) : node.input(0);
}

bool is_f32(const ir::Value* value, const ops::Facts& facts) {
  const ir::Type* type = facts.type(value);
  return type != nullptr && type->dtype == Dtype::f32;
}

std::optional<ops::Activation> activation_of(const ir::Node& node) {
  if (node.is("Relu")) return ops::Activation::relu;
  if (node.is("Tanh")) return ops::Activation::tanh;
  if (node.is("Sigmoid")) return ops::Activation::sigmoid;
  if (node.is("Gelu")) {
    return node.string_or("approximate", "none") == "tanh" ? ops::Activation::gelu_tanh
                                                           : ops::Activation::gelu_erf;
  }
  if (node.is("Swish") && node.float_or("alpha", 1.0F) == 1.0F) return ops::Activation::silu;
  return std::nullopt;
}

bool same_shape(const ir::Value* a, const ir::Value* b, const ops::Facts& facts) {
  const ir::Type* x = facts.type(a);
  const ir::Type* y = facts.type(b);
  if (x == nullptr || y == nullptr || !x->dims || !y->dims || x->rank() != y->rank()) return false;
  for (int i = 0; i < x->rank(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (!(*x->dims)[at].equals((*y->dims)[at])) return false;
  }
  return true;
}

// A constant that is added to every row: [N], N the last dimension of `result`.
bool is_bias(const ir::Value* value, const ir::Value* result, const ops::Facts& facts) {
  if (!value->is_constant() || value->initializer().rank() != 1) return false;
  const ir::Type* type = facts.type(result);
  if (type == nullptr || !type->dims || type->dims->empty()) return false;
  return type->dims->back().equals(value->initializer().shape()[0]);
}

bool takes_epilogue(const ir::Node& node) {
  if (node.is("MatMul") || node.is("Gemm") || node.is("Conv")) return true;
  return node.domain() == "tercel" && node.op_type() == "DynamicQuantizedMatMul";
}

FusedGroup grow(const ir::Node& first, const ops::Facts& facts,
                const std::unordered_set<const ir::Node*>& taken) {
  FusedGroup group{{&first}, {}, nullptr};
  const ir::Value* value = first.output();
  const auto take = [&](const ir::Node* node) {
    group.nodes.push_back(node);
    value = node->output();
  };
  const ir::Node* next = only_user(value);
  // A Conv's bias is its own input; what is added along the last dimension is none.
  const bool bias_free = !first.is("Conv") && (!first.is("Gemm") || first.input(2) == nullptr);
  if (next != nullptr && next->is("Add") && bias_free &&
      is_bias(other_operand(*next, value), next->output(), facts)) {
    group.epilogue.bias = other_operand(*next, value)->initializer();
    take(next);
    next = only_user(value);
  }
  if (next != nullptr && next->num_inputs() == 1) {
    if (const auto activation = activation_of(*next)) {
      group.epilogue.activation = *activation;
      take(next);
      next = only_user(value);
    }
  }
  // Where both sides of the Add are products, the first has it.
  if (next != nullptr && next->is("Add") && !taken.contains(next)) {
    const ir::Value* other = other_operand(*next, value);
    if (other != value && !other->is_constant() && same_shape(other, value, facts)) {
      group.epilogue.residual = true;
      group.residual = other;
      take(next);
      next = only_user(value);
    }
  }
  const bool takes_last = first.is("Conv") && first.input(1)->is_constant() && group.residual &&
                          group.epilogue.activation == ops::Activation::none;
  if (takes_last && next != nullptr && next->num_inputs() == 1) {
    if (const auto activation = activation_of(*next)) {
      group.epilogue.last = *activation;
      take(next);
    }
  }
  return group;
}

}  // namespace

std::unordered_map<const ir::Node*, FusedGroup> find_epilogues(const ir::Graph& graph,
                                                               const ops::Facts& facts) {
  std::unordered_map<const ir::Node*, FusedGroup> groups;
  std::unordered_set<const ir::Node*> taken;
  for (const auto& node : graph.nodes()) {
    if (!takes_epilogue(*node)) continue;
    if (!is_f32(node->output(), facts)) continue;
    FusedGroup group = grow(*node, facts, taken);
    taken.insert(group.nodes.begin(), group.nodes.end());
    if (group.nodes.size() > 1) groups.emplace(node.get(), std::move(group));
  }
  return groups;
}

}  // namespace tercel::runtime
