// The operators of com.microsoft in which ONNX Runtime's static quantisation writes what has none
// on 8-bit integers in ONNX (QuantFormat.QOperator): QLinearAdd, QLinearSigmoid, … In ONNX's own
// operators that is DequantizeLinear → the operator → QuantizeLinear, as the same tool's QDQ format
// has it.

#include "src/base/fail.h"
#include "src/passes/adapters/quantized_node.h"

namespace tercel::passes {
namespace {

using ops::AttributeKind;

constexpr ops::AttributeDef kPool[] = {{"auto_pad", AttributeKind::string},
                                       {"ceil_mode", AttributeKind::integer},
                                       {"channels_last", AttributeKind::integer},
                                       {"count_include_pad", AttributeKind::integer},
                                       {"kernel_shape", AttributeKind::integers, true},
                                       {"pads", AttributeKind::integers},
                                       {"strides", AttributeKind::integers}};
constexpr ops::AttributeDef kGlobalPool[] = {{"channels_last", AttributeKind::integer}};
constexpr ops::AttributeDef kLeakyRelu[] = {{"alpha", AttributeKind::number}};
constexpr ops::AttributeDef kAxis[] = {{"axis", AttributeKind::integer}};
constexpr ops::AttributeDef kConcat[] = {{"axis", AttributeKind::integer, true}};
constexpr ops::AttributeDef kSoftmax[] = {{"axis", AttributeKind::integer},
                                          {"opset", AttributeKind::integer, true}};

// QLinearAdd is Add.
std::string real_operator(const ir::Node& node) {
  return node.op_type().substr(std::string_view("QLinear").size());
}

// f(x) by the inputs x, x_scale, x_zero, y_scale, y_zero.
void adapt_function(const Adaptation& adaptation, std::span<const ops::AttributeDef> attributes) {
  QuantizedNode node(adaptation, 5, attributes);
  ir::Value* y = node.of_onnx(real_operator(adaptation.node), {node.real(0)}, "channels_last");
  node.finish(y, 3, node.required(0));
}

void adapt_pool(const Adaptation& adaptation, std::span<const ops::AttributeDef> attributes) {
  adaptation.require_value("channels_last");
  if (const int64_t last = adaptation.node.int_or("channels_last", 0); last != 0)
    fail(Errc::unsupported, "{} channels_last is {}; 0 is read", adaptation.node.label(), last);
  adapt_function(adaptation, attributes);
}

}  // namespace

// Those of 16 and 4 bits, which ONNX has since opset 21.
void adapt_linear(const Adaptation& adaptation) {
  QuantizedNode node(adaptation, 3, kAxis);
  ir::Value* zero = adaptation.node.input(2);
  node.replace(node.of_onnx(adaptation.node.op_type(), {node.required(0), node.required(1), zero}));
}

void adapt_qlinear_binary(const Adaptation& adaptation) {
  QuantizedNode node(adaptation, 8, {});
  ir::Value* y = node.b().op(real_operator(adaptation.node), {node.real(0), node.real(3)});
  node.finish(y, 6, node.required(0));
}

void adapt_qlinear_sigmoid(const Adaptation& adaptation) { adapt_function(adaptation, {}); }

void adapt_qlinear_leaky_relu(const Adaptation& adaptation) {
  adapt_function(adaptation, kLeakyRelu);
}

void adapt_qlinear_average_pool(const Adaptation& adaptation) { adapt_pool(adaptation, kPool); }

void adapt_qlinear_global_average_pool(const Adaptation& adaptation) {
  adapt_pool(adaptation, kGlobalPool);
}

void adapt_qlinear_concat(const Adaptation& adaptation) {
  QuantizedNode node(adaptation, ops::kVariadic, kConcat);
  const int inputs = adaptation.node.num_inputs();
  if (inputs < 5 || inputs % 3 != 2) {
    fail(Errc::invalid_file, "{} has {} inputs; expected a scale, a zero point and three a tensor",
         adaptation.node.label(), inputs);
  }
  std::vector<ir::Value*> tensors;
  for (int i = 2; i < inputs; i += 3) tensors.push_back(node.real(i));
  node.finish(node.of_onnx("Concat", std::move(tensors)), 0, node.required(2));
}

void adapt_qlinear_where(const Adaptation& adaptation) {
  QuantizedNode node(adaptation, 9, {});
  ir::Value* y = node.b().op("Where", {node.required(0), node.real(1), node.real(4)});
  node.finish(y, 7, node.required(1));
}

// Below opset 13, which an attribute names, all axes from this one on are taken together.
void adapt_qlinear_softmax(const Adaptation& adaptation) {
  constexpr int64_t kOneAxis = 13;
  for (const char* attribute : {"axis", "opset"}) adaptation.require_value(attribute);
  QuantizedNode node(adaptation, 5, kSoftmax);
  const bool flattening = adaptation.node.int_or("opset", kOneAxis) < kOneAxis;
  const int64_t axis = adaptation.node.int_or("axis", -1);
  ir::Value* y = node.b().op("Softmax", {node.real(0)}, {{"axis", axis}});
  ir::Node& softmax = *y->producer();
  node.finish(y, 3, node.required(0));
  if (flattening)
    adapt_flattening({softmax, adaptation.facts, adaptation.in_function, adaptation.model});
}

}  // namespace tercel::passes
