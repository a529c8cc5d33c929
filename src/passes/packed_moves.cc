#include "src/passes/packed_operators.h"

namespace tercel::passes::packed {

bool concat(PackedValues& values, ir::Node& node, ir::Builder& b) {
  const Layout layout = values.layout_of(node.input(0));
  std::vector<ir::Value*> inputs;
  for (const ir::Value* input : node.inputs()) {
    if (values.layout_of(input) == Layout::none || values.layout_of(input) != layout)
      return values.refuse(node, "joins tokens and other things");
    inputs.push_back(values.packed(input));
  }
  const auto axis = packed_axis(node.int_or("axis", 0), values.dims(node.input(0)).size(), layout);
  if (!axis) return values.refuse(node, "mixes tokens");
  return values.keep(node, b.op("Concat", inputs, {{"axis", *axis}}));
}

bool split(PackedValues& values, ir::Node& node, ir::Builder& b) {
  const ir::Value* x = node.input(0);
  const auto axis = packed_axis(node.int_or("axis", 0), values.dims(x).size(), values.layout_of(x));
  if (!axis) return values.refuse(node, "mixes tokens");
  auto attributes = attributes_of(node);
  std::erase_if(attributes, [](const auto& attribute) { return attribute.name == "axis"; });
  attributes.push_back({"axis", *axis});
  const ir::Node* parts =
      b.node("Split", {values.packed(x), node.input(1)}, node.num_outputs(), attributes);
  for (int i = 0; i < node.num_outputs(); ++i) {
    if (node.output(i) != nullptr && !values.keep(node, parts->output(i), i)) return false;
  }
  return true;
}

// Unsqueeze and Squeeze.
bool squeeze(PackedValues& values, ir::Node& node, ir::Builder& b) {
  const auto axes = ints_of(node.input(1));
  const ir::Dims* out = dims_of(node.output(), values.facts());
  if (!axes || out == nullptr) return values.refuse(node, "may move tokens");
  // The axes of Unsqueeze are those of its output.
  const std::size_t rank = node.is("Squeeze") ? values.dims(node.input(0)).size() : out->size();
  const auto own = packed_axes(*axes, rank, values.layout_of(node.input(0)));
  if (!own || values.layout_of(node.input(0)) == Layout::heads)
    return values.refuse(node, "moves tokens");
  return values.keep(node, b.op(node.op_type(), {values.packed(node.input(0)), b.ints(*own)}));
}

bool reshape(PackedValues& values, ir::Node& node, ir::Builder& b) {
  const ir::Dims* out = dims_of(node.output(), values.facts());
  const Layout to = out != nullptr ? values.layout_for(*out) : Layout::none;
  const Layout from = values.layout_of(node.input(0));
  if (from == Layout::heads || to == Layout::none || to == Layout::heads)
    return values.refuse(node, "reshapes tokens");
  std::vector<int64_t> shape{0};
  for (std::size_t i = to == Layout::tokens ? 2 : 1; i < out->size(); ++i)
    shape.push_back((*out)[i].value());
  return values.keep(node, b.reshape(values.packed(node.input(0)), shape));
}

// Between [batch, sequence, n, m] and [batch, n, sequence, m]: the same rows.
bool transpose(PackedValues& values, ir::Node& node, ir::Builder& b) {
  const Layout from = values.layout_of(node.input(0));
  if (!swaps_heads(node) || from == Layout::flat) return values.refuse(node, "moves tokens");
  const Layout to = from == Layout::tokens ? Layout::heads : Layout::tokens;
  return values.keep(node, 0, b.op("Identity", {values.packed(node.input(0))}), to);
}

bool slice(PackedValues& values, ir::Node& node, ir::Builder& b) {
  const ir::Value* x = node.input(0);
  const auto starts = ints_of(node.input(1));
  const auto ends = ints_of(node.input(2));
  const auto axes = ints_of(node.input(3));
  if (!starts || !ends || !axes || values.layout_of(x) == Layout::none)
    return values.refuse(node, "may mix tokens");
  const auto steps = node.input(4) != nullptr ? ints_of(node.input(4)) : std::vector<int64_t>{1};
  const bool first = values.layout_of(x) == Layout::tokens && *axes == std::vector<int64_t>{1} &&
                     *starts == std::vector<int64_t>{0} && *ends == std::vector<int64_t>{1} &&
                     steps == std::vector<int64_t>{1};
  if (first) {
    values.replace(node.output(),
                   b.unsqueeze(b.op("Gather", {values.packed(x), values.index().first}), {1}));
    return true;
  }
  const auto own = packed_axes(*axes, values.dims(x).size(), values.layout_of(x));
  if (!own) return values.refuse(node, "takes some of the tokens");
  return values.keep(node, b.op("Slice", {values.packed(x), node.input(1), node.input(2),
                                          b.ints(*own), node.input(4)}));
}

// The first token of each sequence, or a part of every token.
bool gather(PackedValues& values, ir::Node& node, ir::Builder& b) {
  const ir::Value* x = node.input(0);
  if (values.layout_of(x) == Layout::none || values.layout_of(node.input(1)) != Layout::none)
    return values.refuse(node, "looks up by tokens");
  const int64_t axis = node.int_or("axis", 0);
  const auto own = packed_axis(axis, values.dims(x).size(), values.layout_of(x));
  if (own) {
    return values.keep(node, b.op("Gather", {values.packed(x), node.input(1)}, {{"axis", *own}}));
  }
  const auto index = ints_of(node.input(1));
  if (values.layout_of(x) != Layout::tokens || axis != 1 || index != std::vector<int64_t>{0})
    return values.refuse(node, "takes some of the tokens");
  ir::Value* first = b.op("Gather", {values.packed(x), values.index().first});
  if (node.input(1)->initializer().rank() == 1) first = b.unsqueeze(first, {1});
  values.replace(node.output(), first);
  return true;
}

}  // namespace tercel::passes::packed
