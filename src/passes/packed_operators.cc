#include "src/passes/packed_operators.h"

#include <algorithm>
#include <array>

#include "src/base/fail.h"
#include "src/passes/own_functions.h"
#include "src/passes/padding_mask.h"
#include "src/passes/quantized_functions.h"

namespace tercel::passes {
namespace {

constexpr std::array<std::string_view, 45> kElementwise{
    "Abs",         "Add",        "And",      "Cast",
    "Ceil",        "Clip",       "Cos",      "Div",
    "Elu",         "Equal",      "Erf",      "Exp",
    "Floor",       "Gelu",       "Greater",  "GreaterOrEqual",
    "HardSigmoid", "HardSwish",  "Identity", "IsInf",
    "IsNaN",       "LeakyRelu",  "Less",     "LessOrEqual",
    "Log",         "Max",        "Min",      "Mish",
    "Mul",         "Neg",        "Not",      "Or",
    "Pow",         "Reciprocal", "Relu",     "Selu",
    "Sigmoid",     "Sin",        "Softplus", "Sqrt",
    "Sub",         "Swish",      "Tanh",     "ThresholdedRelu",
    "Where"};

bool is_elementwise(const ir::Node& node) {
  return node.domain().empty() &&
         std::find(kElementwise.begin(), kElementwise.end(), node.op_type()) != kElementwise.end();
}

bool elementwise(PackedValues& values, ir::Node& node, ir::Builder& b) {
  const ir::Dims* out = dims_of(node.output(), values.facts());
  const Layout layout = out != nullptr ? values.layout_for(*out) : Layout::none;
  if (layout == Layout::none || node.num_outputs() != 1)
    return values.refuse(node, "gives something else than rows of tokens");
  std::vector<ir::Value*> inputs;
  for (ir::Value* input : node.inputs()) {
    if (input != nullptr && values.layout_of(input) != Layout::none &&
        values.dims(input).size() != out->size())
      return values.refuse(node, "lays tokens along another axis");
    inputs.push_back(values.operand(b, input, out->size(), layout));
    if (input != nullptr && inputs.back() == nullptr)
      return values.refuse(
          node, fmt::format("has an input that is not of tokens, \"{}\"", input->name()));
  }
  return values.keep(node, b.op(node.op_type(), inputs, attributes_of(node)));
}

bool matmul(PackedValues& values, ir::Node& node, ir::Builder& b) {
  const ir::Dims* weight = dims_of(node.input(1), values.facts());
  if (values.layout_of(node.input(1)) != Layout::none || weight == nullptr || weight->size() != 2 ||
      !all_known(*weight, 0) || values.layout_of(node.input(0)) == Layout::heads ||
      values.dims(node.input(0)).size() < 2) {
    return values.refuse(node, "is a product of tokens with each other");
  }
  return values.keep(
      node, b.op(node.op_type(), {values.packed(node.input(0)), node.input(1)}, {}, node.domain()));
}

bool gemm(PackedValues& values, ir::Node& node, ir::Builder& b) {
  const ir::Dims* bias =
      node.input(2) != nullptr ? dims_of(node.input(2), values.facts()) : nullptr;
  const bool biased = node.input(2) == nullptr || (bias != nullptr && bias->size() <= 1);
  if (values.layout_of(node.input(0)) != Layout::flat ||
      values.layout_of(node.input(1)) != Layout::none || node.int_or("transA", 0) != 0 || !biased) {
    return values.refuse(node, "is a product of tokens with each other");
  }
  return values.keep(node,
                     b.op("Gemm", {values.packed(node.input(0)), node.input(1), node.input(2)},
                          attributes_of(node)));
}

// Along the last axes alone, with the same rank before and after.
bool normalization(PackedValues& values, ir::Node& node, ir::Builder& b) {
  const ir::Value* x = node.input(0);
  const auto axis =
      packed_axis(node.int_or("axis", -1), values.dims(x).size(), values.layout_of(x));
  for (int i = 1; i < node.num_inputs(); ++i) {
    if (node.input(i) != nullptr && values.layout_of(node.input(i)) != Layout::none)
      return values.refuse(node, "has tokens as its parameters");
  }
  if (!axis || node.num_outputs() != 1 || values.layout_of(x) == Layout::none)
    return values.refuse(node, "mixes tokens");
  auto attributes = attributes_of(node);
  std::erase_if(attributes, [](const auto& attribute) { return attribute.name == "axis"; });
  attributes.push_back({"axis", *axis});
  std::vector<ir::Value*> inputs(node.inputs().begin(), node.inputs().end());
  inputs[0] = values.packed(x);
  return values.keep(node, b.op(node.op_type(), inputs, attributes));
}

bool hides_padding(PackedValues& values, const ir::Node& node) {
  const auto is_padding_free = [&](const ir::Value* value) {
    return values.layout_of(value) == Layout::none &&
           is_zero_at_padding(value, values.index().mask, values.elements(), values.facts());
  };
  if (node.is("Mul")) return is_padding_free(node.input(0)) || is_padding_free(node.input(1));
  return node.is("Where") && is_padding_free(node.input(0)) &&
         values.layout_of(node.input(2)) == Layout::none;
}

// Over the sequence, of what is put to something neutral where there is padding: that is done to
// padded rows, as before.
bool pool(PackedValues& values, ir::Node& node, const std::vector<int64_t>& axes) {
  ir::Node* masked = node.input(0)->producer();
  const bool along_tokens =
      values.layout_of(node.input(0)) == Layout::tokens && axes.size() == 1 &&
      (axes[0] == 1 || axes[0] + static_cast<int64_t>(values.dims(node.input(0)).size()) == 1);
  if (!along_tokens || masked == nullptr || !hides_padding(values, *masked))
    return values.refuse(node, "mixes tokens, padding among them");
  ir::Builder before(node.graph(), masked);
  for (ir::Value* input : masked->inputs()) {
    if (input != nullptr && values.layout_of(input) != Layout::none)
      values.replace(input, values.unpacked(before, input));
  }
  return true;
}

bool reduce(PackedValues& values, ir::Node& node, ir::Builder& b) {
  const ir::Value* x = node.input(0);
  const auto axes = ints_of(node.input(1));
  if (!axes || axes->empty()) return values.refuse(node, "mixes tokens");
  const auto own = packed_axes(*axes, values.dims(x).size(), values.layout_of(x));
  if (!own) return pool(values, node, *axes);
  return values.keep(node,
                     b.op(node.op_type(), {values.packed(x), b.ints(*own)}, attributes_of(node)));
}

// An embedding: a row of a table for each token.
bool is_lookup(const PackedValues& values, const ir::Node& node) {
  if (!node.is("Gather") || node.int_or("axis", 0) != 0) return false;
  const ir::Dims* table = dims_of(node.input(0), values.facts());
  const ir::Dims* ids = dims_of(node.input(1), values.facts());
  const Dtype dtype = dtype_of(node.input(0), values.facts());
  return table != nullptr && table->size() == 2 && (*table)[1].known() && ids != nullptr &&
         ids->size() == 2 && values.layout_for(*ids) == Layout::tokens &&
         (dtype == Dtype::f32 || dtype == Dtype::f16 || dtype == Dtype::bf16);
}

bool look_up(PackedValues& values, ir::Node& node, ir::Builder& b) {
  return values.keep(node, b.op("Gather", {node.input(0), values.gathered(b, node.input(1))}));
}

using Handler = bool (*)(PackedValues&, ir::Node&, ir::Builder&);
constexpr std::pair<std::string_view, Handler> kHandlers[] = {{"Attention", packed::attention},
                                                              {"Concat", packed::concat},
                                                              {"Gather", packed::gather},
                                                              {"Gemm", gemm},
                                                              {"LayerNormalization", normalization},
                                                              {"LogSoftmax", normalization},
                                                              {"MatMul", matmul},
                                                              {"RMSNormalization", normalization},
                                                              {"ReduceL2", reduce},
                                                              {"ReduceMax", reduce},
                                                              {"ReduceMean", reduce},
                                                              {"ReduceMin", reduce},
                                                              {"ReduceSum", reduce},
                                                              {"ReduceSumSquare", reduce},
                                                              {"Reshape", packed::reshape},
                                                              {"RotaryEmbedding", packed::rotary},
                                                              {"Slice", packed::slice},
                                                              {"Softmax", normalization},
                                                              {"Split", packed::split},
                                                              {"Squeeze", packed::squeeze},
                                                              {"Transpose", packed::transpose},
                                                              {"Unsqueeze", packed::squeeze}};

}  // namespace

bool pack(PackedValues& values, ir::Node& node) {
  bool touched = false;
  for (const ir::Value* input : node.inputs())
    touched |= input != nullptr && values.layout_of(input) != Layout::none;
  bool read_by_graph = false;
  for_each_subgraph(node, [&](ir::Graph& inner) {
    for (const ir::Value* value : inner.captured())
      read_by_graph |= values.layout_of(value) != Layout::none;
  });
  if (read_by_graph) return values.refuse(node, "has a graph that reads tokens");
  if (!touched && !is_lookup(values, node)) return true;
  ir::Builder b(node.graph(), &node);
  if (!touched) return look_up(values, node, b);
  if (is_elementwise(node)) return elementwise(values, node, b);
  for (const auto& [name, handler] : kHandlers) {
    if (node.is(name)) return handler(values, node, b);
  }
  if (node.domain() == kOwnDomain &&
      (node.op_type() == kBlockMatMul || node.op_type() == kDynamicMatMul))
    return matmul(values, node, b);
  return values.refuse(node, "may mix tokens");
}

std::vector<ir::Builder::Attr> attributes_of(const ir::Node& node) {
  std::vector<ir::Builder::Attr> attributes;
  for (const ir::Attribute& attribute : node.attributes())
    attributes.push_back({attribute.name, attribute.data});
  return attributes;
}

}  // namespace tercel::passes
