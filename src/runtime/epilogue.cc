#include "src/runtime/epilogue.h"

#include <map>
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

}  // namespace

std::optional<ops::Normalization> norm_of(const ir::Node& node, const ir::Value* value,
                                          const ops::Facts& facts) {
  if (!node.is("LayerNormalization") || node.input(0) != value) return std::nullopt;
  if (node.int_or("stash_type", 1) != 1) return std::nullopt;
  const ir::Type* type = facts.type(value);
  const int64_t axis = node.int_or("axis", -1);
  if (type == nullptr || !type->dims || (axis != -1 && axis != type->rank() - 1))
    return std::nullopt;
  for (int i = 1; i < node.num_outputs(); ++i) {
    if (node.output(i) != nullptr) return std::nullopt;
  }
  const auto fits = [&](const ir::Value* parameter) {
    return is_bias(parameter, value, facts) && is_f32(parameter, facts);
  };
  const ir::Value* bias = node.input(2);
  if (!fits(node.input(1)) || (bias != nullptr && !fits(bias))) return std::nullopt;
  return ops::Normalization{node.input(1)->initializer(),
                            bias != nullptr ? bias->initializer() : Tensor(),
                            node.float_or("epsilon", 1e-5F)};
}

namespace {

bool is_quantized(const ir::Node& node, std::string_view op_type) {
  return node.domain() == "tercel" && node.op_type() == op_type;
}

bool is_quantized_product(const ir::Node& node) {
  return is_quantized(node, "BlockQuantizedMatMul") || is_quantized(node, "DynamicQuantizedMatMul");
}

bool is_conv(const ir::Node& node) {
  return node.is("Conv") || is_quantized(node, "DynamicQuantizedConv");
}

bool takes_epilogue(const ir::Node& node) {
  return node.is("MatMul") || node.is("Gemm") || is_conv(node) || is_quantized_product(node);
}

// As dequantised weights are, when nothing else is known of them.
bool has_constant_weight(const ir::Node& conv) {
  return !conv.is("Conv") || conv.input(1)->is_constant();
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
  const bool bias_free = !is_conv(first) && (!first.is("Gemm") || first.input(2) == nullptr);
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
  const bool takes_last = is_conv(first) && has_constant_weight(first) && group.residual &&
                          group.epilogue.activation == ops::Activation::none;
  if (takes_last && next != nullptr && next->num_inputs() == 1) {
    if (const auto activation = activation_of(*next)) {
      group.epilogue.last = *activation;
      take(next);
    }
  }
  if (is_conv(first) || next == nullptr) return group;
  if (auto norm = norm_of(*next, value, facts)) {
    group.epilogue.norm = std::move(norm);
    take(next);
  }
  return group;
}

float number(const ir::Value* scale) { return *scale->initializer().values<float>().data(); }

bool is_byte(const ir::Value* value) {
  if (value == nullptr || !value->is_constant() || value->initializer().size() != 1) return false;
  const Dtype dtype = value->initializer().dtype();
  return dtype == Dtype::i8 || dtype == Dtype::u8;
}

// Of one for which is_byte().
int32_t zero_point(const ir::Value* value) {
  const Tensor& zero = value->initializer();
  return zero.dtype() == Dtype::i8 ? *zero.values<int8_t>().data() : *zero.values<uint8_t>().data();
}

// Max of bytes and the zero point of what they stand for.
bool is_relu_of_bytes(const ir::Node& node, const ir::Value* value, const ir::Value* zero) {
  if (!node.is("Max") || node.num_inputs() != 2) return false;
  const ir::Value* least = other_operand(node, value);
  return is_byte(least) && is_byte(zero) &&
         least->initializer().dtype() == zero->initializer().dtype() &&
         zero_point(least) == zero_point(zero);
}

// The numbers of a QLinearAdd, when they are constants.
std::optional<ops::LinearSum> sum_of(const ir::Node& add, bool own_first) {
  for (const int index : {2, 5, 7}) {
    if (!is_byte(add.input(index))) return std::nullopt;
  }
  for (const int index : {1, 4, 6}) {
    const ir::Value* value = add.input(index);
    if (value == nullptr || !value->is_constant() || value->initializer().size() != 1 ||
        value->initializer().dtype() != Dtype::f32)
      return std::nullopt;
  }
  const float scale = number(add.input(6));
  const int residual = own_first ? 3 : 0;
  return ops::LinearSum{number(add.input(own_first ? 1 : 4)) / scale,
                        number(add.input(residual + 1)) / scale,
                        zero_point(add.input(residual + 2)), zero_point(add.input(7))};
}

// A QLinearConv, a Relu, the addition of another tensor of bytes, a Relu.
FusedGroup grow_bytes(const ir::Node& conv, const std::unordered_set<const ir::Node*>& taken) {
  FusedGroup group{{&conv}, {}, nullptr};
  const ir::Value* value = conv.output();
  const ir::Node* next = only_user(value);
  const auto take = [&] {
    group.nodes.push_back(next);
    value = next->output();
    next = only_user(value);
  };
  if (next != nullptr && is_relu_of_bytes(*next, value, conv.input(7))) {
    group.epilogue.activation = ops::Activation::relu;
    take();
  }
  if (next == nullptr || !is_quantized(*next, "QLinearAdd") || taken.contains(next)) return group;
  const bool own_first = next->input(0) == value;
  const ir::Value* other = next->input(own_first ? 3 : 0);
  auto sum = sum_of(*next, own_first);
  // What is added by scale and zero point must be that of the convolution.
  const ir::Value* own_zero = next->input(own_first ? 2 : 5);
  if (!sum || other == value || other->is_constant() || !is_byte(conv.input(7)) ||
      zero_point(own_zero) != zero_point(conv.input(7)))
    return group;
  group.epilogue.sum = sum;
  group.epilogue.residual = true;
  group.residual = other;
  const ir::Value* zero = next->input(7);
  take();
  if (next != nullptr && is_relu_of_bytes(*next, value, zero)) {
    group.epilogue.last = ops::Activation::relu;
    take();
  }
  return group;
}

}  // namespace

std::unordered_map<const ir::Node*, FusedGroup> find_epilogues(const ir::Graph& graph,
                                                               const ops::Facts& facts) {
  std::unordered_map<const ir::Node*, FusedGroup> groups;
  std::unordered_set<const ir::Node*> taken;
  for (const auto& node : graph.nodes()) {
    const bool of_bytes = node->is("QLinearConv");
    if (!of_bytes && (!takes_epilogue(*node) || !is_f32(node->output(), facts))) continue;
    FusedGroup group = of_bytes ? grow_bytes(*node, taken) : grow(*node, facts, taken);
    taken.insert(group.nodes.begin(), group.nodes.end());
    if (group.nodes.size() > 1) groups.emplace(node.get(), std::move(group));
  }
  return groups;
}

FusedGroup without_norm(const FusedGroup& group) {
  FusedGroup shorter = group;
  shorter.epilogue.norm.reset();
  shorter.nodes.pop_back();
  return shorter;
}

namespace {

// What may be computed with others: nothing is read but input 0 and constants.
bool may_be_together(const ir::Node& node, const FusedGroup* group, const ops::Facts& facts) {
  const bool fits = node.is("MatMul") || is_quantized_product(node);
  if (!fits || !is_f32(node.output(), facts)) return false;
  return group == nullptr || (group->residual == nullptr && !group->epilogue.norm);
}

}  // namespace

std::vector<std::vector<FusedGroup>> find_together(
    const ir::Graph& graph, const ops::Facts& facts,
    const std::unordered_map<const ir::Node*, FusedGroup>& groups) {
  std::vector<std::vector<FusedGroup>> found;
  std::map<std::pair<const ir::Value*, std::string_view>, std::size_t> by_input;
  for (const auto& node : graph.nodes()) {
    const auto group = groups.find(node.get());
    if (!may_be_together(*node, group != groups.end() ? &group->second : nullptr, facts)) continue;
    if (node->input(0) == nullptr || node->input(0)->is_constant()) continue;
    const auto [at, added] = by_input.emplace(
        std::pair{node->input(0), std::string_view(node->op_type())}, found.size());
    if (added) found.emplace_back();
    found[at->second].push_back(group != groups.end() ? group->second
                                                      : FusedGroup{{node.get()}, {}, nullptr});
  }
  std::erase_if(found, [](const auto& together) { return together.size() < 2; });
  return found;
}

}  // namespace tercel::runtime
