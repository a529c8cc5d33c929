#include <algorithm>
#include <cmath>

#include "src/passes/own_functions.h"
#include "src/passes/packed_operators.h"
#include "src/passes/padding_mask.h"

namespace tercel::passes::packed {
namespace {

// Rows [tokens, heads · size], and the number of heads.
std::optional<int64_t> heads_of(const PackedValues& values, const ir::Node& node, int index,
                                const char* attribute) {
  const ir::Value* value = node.input(index);
  if (values.layout_of(value) == Layout::heads) return values.dims(value)[1].value();
  const bool merged = values.layout_of(value) == Layout::tokens && values.dims(value).size() == 3;
  const int64_t heads = node.int_or(attribute, 0);
  return merged && heads > 0 ? std::optional(heads) : std::nullopt;
}

ir::Value* merged_heads(const PackedValues& values, ir::Builder& b, const ir::Value* value) {
  if (values.layout_of(value) == Layout::tokens) return values.packed(value);
  const ir::Dims& own = values.dims(value);
  return b.reshape(values.packed(value), {0, own[1].value() * own[3].value()});
}

}  // namespace

// Each token as a sequence of its own, with its own position: runtimes limit how long one may be.
bool rotary(PackedValues& values, ir::Node& node, ir::Builder& b) {
  const ir::Value* x = node.input(0);
  const bool by_heads = values.layout_of(x) == Layout::heads;
  if (values.layout_of(x) == Layout::none || values.dims(x).size() != (by_heads ? 4U : 3U))
    return values.refuse(node, "rotates something else than tokens");
  auto attributes = attributes_of(node);
  ir::Value* rows = values.packed(x);
  if (by_heads) {
    std::erase_if(attributes, [](const auto& one) { return one.name == "num_heads"; });
    attributes.push_back({"num_heads", values.dims(x)[1].value()});
    rows = b.reshape(rows, {0, values.dims(x)[1].value() * values.dims(x)[3].value()});
  }
  std::vector<ir::Value*> inputs{b.unsqueeze(rows, {1}), node.input(1), node.input(2), nullptr};
  for (const int i : node.input(3) != nullptr ? std::vector{3} : std::vector{1, 2}) {
    ir::Value* own = values.operand(b, node.input(i), i == 3 ? 2 : 3, Layout::tokens);
    if (own == nullptr) return values.refuse(node, "has positions that are not of tokens");
    inputs[static_cast<std::size_t>(i)] = b.unsqueeze(own, {1});
  }
  ir::Value* rotated = b.op("RotaryEmbedding", inputs, attributes);
  rotated = by_heads
                ? b.reshape(rotated, {-1, values.dims(x)[1].value(), values.dims(x)[3].value()})
                : b.op("Squeeze", {rotated, b.ints({1})});
  return values.keep(node, rotated);
}

bool attention(PackedValues& values, ir::Node& node, ir::Builder& b) {
  for (const int i : {4, 5, 6}) {
    if (node.input(i) != nullptr) return values.refuse(node, "keeps what came before");
  }
  if (node.num_outputs() != 1) return values.refuse(node, "gives more than its result");
  if (dtype_of(node.input(0), values.facts()) != Dtype::f32)
    return values.refuse(node, "is not of f32");
  const auto q_heads = heads_of(values, node, 0, "q_num_heads");
  const auto k_heads = heads_of(values, node, 1, "kv_num_heads");
  const auto v_heads = heads_of(values, node, 2, "kv_num_heads");
  if (!q_heads || !k_heads || k_heads != v_heads)
    return values.refuse(node, "is not of tokens to tokens");
  if (node.input(3) == nullptr) return values.refuse(node, "attends to padding");
  std::string why;
  const auto mask = read_padding_mask(node.input(3), values.elements(), values.facts(), why);
  if (!mask) return values.refuse(node, why);
  if (mask->input != values.index().mask) return values.refuse(node, "has a mask of its own");
  const ir::Dims& q = values.dims(node.input(0));
  const int64_t size = q.back().value() / (q.size() == 3 ? *q_heads : 1);
  const auto left = node.int_or("left_window_size", -1);
  const auto right = node.int_or("is_causal", 0) != 0 ? 0 : node.int_or("right_window_size", -1);
  const auto bound = [](int64_t own, int64_t of_mask) {
    return own < 0 ? of_mask : std::min(own, of_mask);
  };
  ir::Value* bias = mask->bias != nullptr ? const_cast<ir::Value*>(mask->bias) : values.zero(b);
  ir::Value* result =
      b.op("PackedAttention",
           {merged_heads(values, b, node.input(0)), merged_heads(values, b, node.input(1)),
            merged_heads(values, b, node.input(2)), values.index().offsets, values.index().rows,
            values.index().valid, bias},
           {{"q_num_heads", *q_heads},
            {"kv_num_heads", *k_heads},
            {"scale", node.float_or("scale", 1 / std::sqrt(static_cast<float>(size)))},
            {"softcap", node.float_or("softcap", 0)},
            {"left_window", bound(left, mask->left)},
            {"right_window", bound(right, mask->right)}},
           kOwnDomain);
  if (q.size() == 3) return values.keep(node, result);
  const ir::Dims& v = values.dims(node.input(2));
  return values.keep(node, b.reshape(result, {0, *q_heads, v.back().value()}));
}

}  // namespace tercel::passes::packed
