#include "src/passes/match.h"
#include "src/passes/pass_list.h"

namespace tercel::passes {
namespace {

ir::Node* mean_of(const ir::Value* value, const ops::Facts& facts) {
  ir::Node* reduce = made_by(value, "ReduceMean");
  return reduce != nullptr && reduces_last_axis(*reduce, facts) ? reduce : nullptr;
}

// x when `value` is x minus its mean over the last axis.
ir::Value* centred(const ir::Value* value, const ops::Facts& facts) {
  const ir::Node* sub = made_by(value, "Sub");
  if (sub == nullptr) return nullptr;
  const ir::Node* mean = mean_of(sub->input(1), facts);
  return mean != nullptr && mean->input(0) == sub->input(0) ? sub->input(0) : nullptr;
}

// d when `value` is d · d, or d to the power of two.
ir::Value* square_root_of(const ir::Value* value) {
  if (const ir::Node* pow = made_by(value, "Pow"))
    return is_scalar(pow->input(1), 2) ? pow->input(0) : nullptr;
  const ir::Node* mul = made_by(value, "Mul");
  return mul != nullptr && mul->input(0) == mul->input(1) ? mul->input(0) : nullptr;
}

struct Normalised {
  ir::Value* x;
  float epsilon;
};

// x and ε when `value` is sqrt(mean((x - mean(x))²) + ε).
std::optional<Normalised> deviation(const ir::Value* value, const ops::Facts& facts) {
  const ir::Node* sqrt = made_by(value, "Sqrt");
  const ir::Node* add = sqrt != nullptr ? made_by(sqrt->input(0), "Add") : nullptr;
  if (add == nullptr) return std::nullopt;
  for (const int at : {1, 0}) {
    const auto epsilon = scalar_of(add->input(at));
    const ir::Node* variance = mean_of(add->input(1 - at), facts);
    if (!epsilon || variance == nullptr) continue;
    const ir::Value* difference = square_root_of(variance->input(0));
    ir::Value* x = difference != nullptr ? centred(difference, facts) : nullptr;
    if (x != nullptr) return Normalised{x, static_cast<float>(*epsilon)};
  }
  return std::nullopt;
}

// (x - mean) / deviation, also as a product with the reciprocal.
std::optional<Normalised> normalised(const ir::Node& node, const ops::Facts& facts) {
  for (const int at : {1, 0}) {
    const ir::Value* divisor = nullptr;
    if (node.is("Div") && at == 1) divisor = node.input(1);
    if (node.is("Mul")) {
      const ir::Node* reciprocal = made_by(node.input(at), "Reciprocal");
      const ir::Node* quotient = made_by(node.input(at), "Div");
      if (reciprocal != nullptr) divisor = reciprocal->input(0);
      if (quotient != nullptr && is_scalar(quotient->input(0), 1)) divisor = quotient->input(1);
    }
    if (divisor == nullptr) continue;
    const auto found = deviation(divisor, facts);
    if (found && centred(node.input(1 - at), facts) == found->x) return found;
  }
  return std::nullopt;
}

// The other operand of the only use of `value`, by `op_type`, when it is a vector of `size`.
struct Step {
  ir::Node* node;
  ir::Value* vector;
};
std::optional<Step> next_step(const ir::Value* value, std::string_view op_type, const ir::Dim& size,
                              const ops::Facts& facts) {
  ir::Node* node = sole_user(value, op_type);
  if (node == nullptr) return std::nullopt;
  ir::Value* vector = node->input(node->input(0) == value ? 1 : 0);
  const ir::Dims* dims = dims_of(vector, facts);
  if (dims == nullptr || dims->size() != 1 || !dims->front().equals(size)) return std::nullopt;
  if (dtype_of(vector, facts) != dtype_of(value, facts)) return std::nullopt;
  return Step{node, vector};
}

ir::Value* ones(ir::Graph& graph, Dtype dtype, int64_t count) {
  Tensor tensor(dtype, {count});
  if (dtype == Dtype::f32) {
    for (float& value : tensor.values<float>()) value = 1;
  } else {
    constexpr uint16_t kHalfOne = 0x3c00;
    auto* values = static_cast<uint16_t*>(tensor.data());
    for (int64_t i = 0; i < count; ++i) values[i] = kHalfOne;
  }
  return graph.add_initializer("ones", std::move(tensor));
}

bool fuse_norm(ir::Node& node, const ops::Facts& facts) {
  const auto found = normalised(node, facts);
  if (!found) return false;
  const ir::Dims* dims = dims_of(found->x, facts);
  const Dtype dtype = dtype_of(found->x, facts);
  if (dims == nullptr || dims->empty() || (dtype != Dtype::f32 && dtype != Dtype::f16))
    return false;
  const ir::Dim size = dims->back();

  ir::Value* result = node.output();
  const auto scale = next_step(result, "Mul", size, facts);
  if (!scale && !size.known()) return false;
  if (scale) result = scale->node->output();
  const auto bias = next_step(result, "Add", size, facts);
  if (bias) result = bias->node->output();

  ir::Graph& graph = node.graph();
  ir::Value* by = scale ? scale->vector : ones(graph, dtype, size.value());
  ir::Builder b(graph, result->producer());
  take_over(result, b.op("LayerNormalization", {found->x, by, bias ? bias->vector : nullptr},
                         {{"axis", int64_t{-1}}, {"epsilon", found->epsilon}}));
  return true;
}

}  // namespace

bool fuse_layer_norm(ir::Model& model, const PassContext& context) {
  const auto facts = facts_of(model, context);
  bool changed = false;
  for_each_graph(model, [&](ir::Graph& graph) {
    for (const auto& node : graph.nodes()) changed |= fuse_norm(*node, *facts);
  });
  return changed;
}

}  // namespace tercel::passes
