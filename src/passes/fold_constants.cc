#include <algorithm>

#include "src/base/fail.h"
#include "src/ops/op_def.h"
#include "src/passes/match.h"
#include "src/passes/pass_list.h"

namespace tercel::passes {
namespace {

constexpr std::size_t kLargeBytes = std::size_t{64} << 10;
constexpr std::size_t kQuantizedBytes = 1024;

// The tensor of a Constant node; undefined for sparse ones.
Tensor constant_of(const ir::Node& node) {
  if (const ir::Attribute* value = node.find_attribute("value")) {
    const auto* tensor = std::get_if<Tensor>(&value->data);
    return tensor != nullptr ? *tensor : Tensor();
  }
  if (node.has_attribute("value_float")) return Tensor::scalar(node.float_or("value_float", 0));
  if (node.has_attribute("value_int")) return Tensor::scalar(node.int_or("value_int", 0));
  if (node.has_attribute("value_string"))
    return Tensor::from_strings({node.string_or("value_string", "")}, {});
  const auto vector = [&](std::string_view name, auto make) {
    const ir::Attribute* attribute = node.find_attribute(name);
    return attribute != nullptr ? make(attribute->data) : Tensor();
  };
  const auto copy = [](const auto& values) {
    return Tensor::from(values, {static_cast<int64_t>(values.size())});
  };
  if (node.has_attribute("value_ints")) return copy(node.ints_or("value_ints", {}));
  if (node.has_attribute("value_floats")) {
    return vector("value_floats", [&](const ir::Attribute::Data& data) {
      const auto* values = std::get_if<std::vector<float>>(&data);
      return values != nullptr ? copy(*values) : Tensor();
    });
  }
  return vector("value_strings", [](const ir::Attribute::Data& data) {
    const auto* values = std::get_if<std::vector<std::string>>(&data);
    return values != nullptr ? Tensor::from_strings(*values, {static_cast<int64_t>(values->size())})
                             : Tensor();
  });
}

// What shape inference knows of a value's elements, when it is all of them.
Tensor known_elements(const ir::Value* value, const ops::Facts& facts) {
  const ops::Contents* contents = facts.contents(value);
  const ir::Dims* dims = dims_of(value, facts);
  if (contents == nullptr || dims == nullptr || dims->size() > 1) return {};
  std::vector<int64_t> numbers;
  for (const ops::Known& element : *contents) {
    if (!element.is_number()) return {};
    numbers.push_back(element.number());
  }
  const auto count = static_cast<int64_t>(numbers.size());
  const Shape shape = dims->empty() ? Shape{} : Shape{count};
  if (element_count(shape) != count) return {};
  Tensor tensor(dtype_of(value, facts), shape);
  const auto fill = [&](auto values) {
    using T = typename decltype(values)::value_type;
    for (std::size_t i = 0; i < numbers.size(); ++i) values[i] = static_cast<T>(numbers[i]);
  };
  switch (tensor.dtype()) {
    case Dtype::i64:
      fill(tensor.values<int64_t>());
      return tensor;
    case Dtype::i32:
      fill(tensor.values<int32_t>());
      return tensor;
    case Dtype::boolean:
      fill(tensor.values<bool>());
      return tensor;
    default:
      return {};
  }
}

std::size_t bytes_of_output(const ir::Value* output, const ops::Facts& facts) {
  const ir::Type* type = facts.type(output);
  const auto shape = type != nullptr ? type->shape() : std::nullopt;
  if (!shape) return SIZE_MAX;
  const int64_t count = element_count(*shape);
  if (type->dtype == Dtype::string) return static_cast<std::size_t>(count) * sizeof(std::string);
  return bytes_of(type->dtype, count);
}

// The plan packs a weight from the form in which it is stored; a copy of it here would be one more.
// Of bytes, it would be another product: those that quantize_dynamic makes stay. Kernels of bytes
// look through no Transpose.
bool copies_a_weight(const ir::Node& node) {
  const Tensor& weight = node.input(0)->initializer();
  if (node.is("DequantizeLinear")) return weight.bytes() >= kQuantizedBytes;
  const bool of_bytes = weight.dtype() == Dtype::i8 || weight.dtype() == Dtype::u8;
  return (node.is("Cast") || (node.is("Transpose") && !of_bytes)) && weight.bytes() > kLargeBytes;
}

// Dequantises what is nothing but the weight of convolutions for which `fits` holds.
template <class Fits>
bool is_conv_weight(const ir::Node& node, const Fits& fits) {
  if (!node.is("DequantizeLinear") || !is_used(node.output()) || node.output()->is_graph_output())
    return false;
  const auto uses = node.output()->uses();
  return std::all_of(uses.begin(), uses.end(), [&](const ir::Use& use) {
    return use.node->is("Conv") && use.index == 1 && fits(*use.node);
  });
}

// That of a convolution of groups is packed as f32 alone.
bool is_weight_of_groups(const ir::Node& node) {
  return is_conv_weight(node, [](const ir::Node& conv) { return conv.int_or("group", 1) != 1; });
}

// fuse_qlinear_conv may take the bytes.
bool may_stay_bytes(const ir::Node& node) {
  return is_conv_weight(node, [](const ir::Node& conv) {
    return made_by(conv.input(0), "DequantizeLinear") != nullptr;
  });
}

bool worth_folding(const ir::Node& node, const ops::Facts& facts) {
  std::size_t in = 0;
  for (const ir::Value* input : node.inputs()) {
    if (input == nullptr) continue;
    if (!input->is_constant()) return false;
    in += input->initializer().bytes();
  }
  if (is_weight_of_groups(node)) return true;
  std::size_t out = 0;
  for (int i = 0; i < node.num_outputs(); ++i) {
    if (node.output(i) != nullptr) out = std::max(out, bytes_of_output(node.output(i), facts));
  }
  return out <= std::max(kLargeBytes, in) && (node.num_inputs() == 0 || !copies_a_weight(node));
}

std::vector<Tensor> evaluated(const ir::Node& node, const ops::Facts& facts,
                              const PassContext& context) {
  const ops::OpDef* def = ops::find_op(node.domain(), node.op_type());
  if (def == nullptr || !def->deterministic || has_subgraph(node) || !worth_folding(node, facts))
    return {};
  if (def->view_of_input) {
    const ir::Type* type = facts.type(node.output());
    const auto shape = type != nullptr ? type->shape() : std::nullopt;
    const Tensor& input = node.input(0)->initializer();
    if (shape && element_count(*shape) == input.size()) return {input.reshape(*shape)};
  }
  if (!context.evaluate) return {};
  std::vector<Tensor> inputs;
  for (const ir::Value* input : node.inputs())
    inputs.push_back(input != nullptr ? input->initializer() : Tensor());
  try {
    return context.evaluate(node, inputs);
  } catch (const Error& error) {
    if (error.code() == Errc::unsupported || error.code() == Errc::out_of_memory) return {};
    throw;
  }
}

// A constant that is a graph's output stays behind an Identity.
bool is_output_copy(const ir::Node& node) {
  return node.is("Identity") && node.output()->is_graph_output() && node.output()->uses().empty();
}

void become_constant(ir::Value* value, Tensor tensor) {
  ir::Graph& graph = value->graph();
  const std::string name = value->name();
  if (!value->is_graph_output()) graph.rename(value, name + "_folded");
  graph.replace_uses(value, graph.add_initializer(name, std::move(tensor)));
}

bool fold(ir::Node& node, const ops::Facts& facts, const PassContext& context) {
  bool used = false;
  for (int i = 0; i < node.num_outputs(); ++i) used = used || is_used(node.output(i));
  if (!used || is_output_copy(node)) return false;
  std::vector<Tensor> results;
  if (node.is("Constant")) {
    results = {constant_of(node)};
  } else {
    for (int i = 0; i < node.num_outputs(); ++i)
      results.push_back(node.output(i) != nullptr ? known_elements(node.output(i), facts)
                                                  : Tensor());
    const bool known = std::any_of(results.begin(), results.end(),
                                   [](const Tensor& tensor) { return tensor.defined(); });
    if (!known) results = evaluated(node, facts, context);
  }
  bool changed = false;
  for (std::size_t i = 0; i < results.size() && static_cast<int>(i) < node.num_outputs(); ++i) {
    ir::Value* output = node.output(static_cast<int>(i));
    if (!is_used(output) || !results[i].defined()) continue;
    become_constant(output, std::move(results[i]));
    changed = true;
  }
  return changed;
}

// Nodes for which may_stay_bytes() is `bytes`.
bool run(ir::Graph& graph, const ops::Facts& facts, const PassContext& context, bool bytes) {
  bool changed = false;
  for (const auto& node : graph.nodes()) {
    for_each_subgraph(*node,
                      [&](ir::Graph& inner) { changed |= run(inner, facts, context, bytes); });
    if (may_stay_bytes(*node) == bytes) changed |= fold(*node, facts, context);
  }
  return changed;
}

}  // namespace

bool fold_constants(ir::Model& model, const PassContext& context) {
  return run(model.graph, *facts_of(model, context), context, false);
}

bool fold_conv_weights(ir::Model& model, const PassContext& context) {
  return run(model.graph, *facts_of(model, context), context, true);
}

}  // namespace tercel::passes
