#include <algorithm>
#include <array>

#include "src/passes/match.h"
#include "src/passes/pass_list.h"

namespace tercel::passes {
namespace {

bool is_any(const ir::Node& node, std::initializer_list<std::string_view> names) {
  return std::any_of(names.begin(), names.end(), [&](auto name) { return node.is(name); });
}

// Only the shape changes: the elements and their order stay.
bool is_view(const ir::Node& node) {
  return is_any(node, {"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"});
}

// The earliest value in a chain of views that has the shape in which the chain ends. Longer chains
// than exporters write are looked at in pieces.
ir::Value* start_of_views(const ir::Node& node, const ops::Facts& facts) {
  constexpr int kLongestChain = 32;
  ir::Value* found = nullptr;
  const ir::Node* at = &node;
  for (int i = 0; i < kLongestChain && at != nullptr && is_view(*at); ++i) {
    ir::Value* input = at->input(0);
    if (same_dims(input, node.output(), facts)) found = input;
    at = input->producer();
  }
  return found;
}

bool inference_dropout(const ir::Node& node) {
  if (!node.is("Dropout") || is_used(node.output(1))) return false;
  return node.input(2) == nullptr || scalar_of(node.input(2)) == 0.0;
}

bool keeps_type(const ir::Node& node, const ops::Facts& facts) {
  const Dtype from = dtype_of(node.input(0), facts);
  const Dtype to = dtype_of(node.output(), facts);
  return from != Dtype::undefined && from == to;
}

// A slice of the whole is the whole when it also goes forwards.
bool whole_slice(const ir::Node& node, const ops::Facts& facts) {
  if (!node.is("Slice") || !same_dims(node.input(0), node.output(), facts)) return false;
  if (node.input(4) == nullptr) return true;
  const auto steps = ints_of(node.input(4));
  return steps && std::all_of(steps->begin(), steps->end(), [](int64_t step) { return step == 1; });
}

struct Neutral {
  std::string_view op_type;
  double element;
  bool either_side;
};
constexpr std::array kNeutral{
    Neutral{"Add", 0, true},  Neutral{"Sub", 0, false}, Neutral{"Mul", 1, true},
    Neutral{"Div", 1, false}, Neutral{"Pow", 1, false}, Neutral{"And", 1, true},
    Neutral{"Or", 0, true},
};

// The operand that an operation with its neutral element hands on, when broadcasting keeps its
// shape.
ir::Value* beside_neutral(const ir::Node& node, const ops::Facts& facts) {
  for (const Neutral& neutral : kNeutral) {
    if (!node.is(neutral.op_type)) continue;
    for (const int at : {1, 0}) {
      if (at == 0 && !neutral.either_side) continue;
      ir::Value* other = node.input(1 - at);
      if (scalar_of(node.input(at)) == neutral.element && same_dims(other, node.output(), facts))
        return other;
    }
  }
  return nullptr;
}

// The value that the node's first output equals; null when it is one of its own.
ir::Value* handed_on(const ir::Node& node, const ops::Facts& facts) {
  if (node.num_inputs() == 0 || node.input(0) == nullptr || node.output() == nullptr)
    return nullptr;
  ir::Value* input = node.input(0);
  if (node.is("Identity") || inference_dropout(node)) return input;
  if (is_any(node, {"Cast", "CastLike"})) return keeps_type(node, facts) ? input : nullptr;
  if (is_any(node, {"Concat", "Sum", "Max", "Min", "Mean"}))
    return node.num_inputs() == 1 ? input : nullptr;
  if (is_view(node)) return start_of_views(node, facts);
  if (is_any(node, {"Expand", "Tile"}))
    return same_dims(input, node.output(), facts) ? input : nullptr;
  if (whole_slice(node, facts)) return input;
  if (node.is("Transpose")) {
    const auto perm = perm_of(node, facts);
    return perm && is_identity(*perm) ? input : nullptr;
  }
  return beside_neutral(node, facts);
}

}  // namespace

bool eliminate_identity(ir::Model& model, const PassContext& context) {
  const auto facts = facts_of(model, context);
  bool changed = false;
  for_each_graph(model, [&](ir::Graph& graph) {
    for (const auto& node : graph.nodes()) {
      if (ir::Value* value = handed_on(*node, *facts)) changed |= forward(node->output(), value);
    }
  });
  return changed;
}

}  // namespace tercel::passes
