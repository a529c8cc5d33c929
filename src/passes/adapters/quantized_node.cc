#include "src/passes/adapters/quantized_node.h"

#include "src/base/fail.h"
#include "src/passes/match.h"

namespace tercel::passes {

QuantizedNode::QuantizedNode(const Adaptation& adaptation, int max_inputs,
                             std::span<const ops::AttributeDef> attributes)
    : adaptation_(adaptation), node_(adaptation.node), b_(adaptation.builder()) {
  ops::check_node(node_, {.domain = node_.domain(),
                          .name = node_.op_type(),
                          .since = 1,
                          .compatible_since = 1,
                          .min_inputs = 1,
                          .max_inputs = max_inputs,
                          .min_outputs = 1,
                          .max_outputs = 1,
                          .attributes = attributes,
                          .infer = nullptr});
}

ir::Value* QuantizedNode::required(int index) const {
  if (ir::Value* value = node_.input(index)) return value;
  fail(Errc::invalid_file, "{} input {} is left out; it is required", node_.label(), index);
}

ir::Value* QuantizedNode::scale(int index, std::optional<int64_t> count) const {
  ir::Value* value = required(index);
  const auto shape = value->type.shape();
  const int64_t elements = shape ? element_count(*shape) : 1;
  if (elements != 1 && count && elements != *count) {
    fail(Errc::invalid_file, "{} input {} has {} elements; expected 1{}", node_.label(), index,
         elements, *count != 1 ? fmt::format(" or {}", *count) : "");
  }
  return value;
}

ir::Value* QuantizedNode::zero(int index, std::optional<int64_t> count) const {
  return node_.input(index) != nullptr ? scale(index, count) : nullptr;
}

Integers QuantizedNode::integers(int index, std::optional<int64_t> count) const {
  return {required(index), scale(index + 1, count), zero(index + 2, count)};
}

ir::Value* QuantizedNode::given(ir::Value* zero, ir::Value* values) const {
  if (zero != nullptr) return zero;
  return adaptation_.like(adaptation_.constant(Tensor::scalar(uint8_t{0})), values);
}

ir::Value* QuantizedNode::real(int index) {
  const Integers x = integers(index);
  return b_.op("DequantizeLinear", {x.values, x.scale, x.zero});
}

ir::Value* QuantizedNode::of_onnx(std::string op_type, std::vector<ir::Value*> inputs,
                                  std::string_view without) {
  ir::Node* made = b_.node(std::move(op_type), std::move(inputs), 1);
  for (const ir::Attribute& attribute : std::as_const(node_).attributes()) {
    if (attribute.name != without) made->add_attribute(attribute);
  }
  return made->output();
}

void QuantizedNode::finish(ir::Value* real, int index, ir::Value* values) {
  ir::Value* zero_point = given(zero(index + 1), values);
  replace(b_.op("QuantizeLinear", {real, scale(index), zero_point}));
}

void QuantizedNode::replace(ir::Value* result) {
  take_over(node_.output(), result);
  node_.graph().erase(&node_);
}

}  // namespace tercel::passes
