#include <gtest/gtest.h>

#include "src/base/error_test_util.h"
#include "src/ir/text.h"
#include "src/ir/verify.h"
#include "src/passes/adapt.h"

namespace tercel::passes {
namespace {

using Types = std::vector<std::string>;

// The operators that a graph over bytes a and b of com.microsoft becomes. Its text may name a scale
// s, a zero point z, scales of three columns and those of none.
std::unique_ptr<ir::Model> adapted(const std::string& nodes) {
  auto model = ir::parse_text(R"(
<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1]>
g (uint8[2, 3] a, uint8[2, 3] b, bool[2, 3] c, float[2, 3] x) => (y)
  <float s = {0.5}, uint8 z = {3}, float[3] columns = {0.5, 0.25, 1.0}, uint8[3] zeros = {1, 2, 3},
   int32[3] bias = {1, 2, 3}, int32[2, 1] rows = {1, 2}, uint8[3, 3] w = {1, 2, 3, 4, 5, 6, 7, 8, 9},
   float[3] shift = {1.0, 2.0, 3.0}>
{ )" + nodes + "}",
                              "test");
  adapt_to_newest(*model);
  ir::verify(*model);
  return model;
}

Types types_of(const std::string& nodes) {
  const auto model = adapted(nodes);
  Types types;
  for (const auto& node : model->graph.nodes()) types.push_back(node->op_type());
  return types;
}

std::string refusal_of(const std::string& nodes) {
  return error_of([&] { adapted(nodes); }).what();
}

TEST(QLinear, BecomesTheOperatorOnRealNumbers) {
  const auto one = [](const char* op) { return Types{"DequantizeLinear", op, "QuantizeLinear"}; };
  const auto two = [](const char* op) {
    return Types{"DequantizeLinear", "DequantizeLinear", op, "QuantizeLinear"};
  };
  EXPECT_EQ(types_of("y = com.microsoft.QLinearAdd (a, s, z, b, s, z, s, z)"), two("Add"));
  EXPECT_EQ(types_of("y = com.microsoft.QLinearMul (a, s, z, b, s, z, s, z)"), two("Mul"));
  EXPECT_EQ(types_of("y = com.microsoft.QLinearConcat <axis = 1> (s, z, a, s, z, b, s, z)"),
            two("Concat"));
  EXPECT_EQ(types_of("y = com.microsoft.QLinearWhere (c, a, s, z, b, s, z, s, z)"), two("Where"));
  EXPECT_EQ(types_of("y = com.microsoft.QLinearSigmoid (a, s, z, s, z)"), one("Sigmoid"));
  EXPECT_EQ(types_of("y = com.microsoft.QLinearLeakyRelu <alpha = 0.5> (a, s, z, s, z)"),
            one("LeakyRelu"));
  EXPECT_EQ(types_of("y = com.microsoft.QLinearAveragePool <kernel_shape = [1], channels_last = 0>"
                     "(a, s, z, s, z)"),
            one("AveragePool"));
  EXPECT_EQ(types_of("y = com.microsoft.QLinearGlobalAveragePool (a, s, z, s, z)"),
            one("GlobalAveragePool"));
}

TEST(QLinear, QuantizeLinearIsThatOfOnnx) {
  EXPECT_EQ(types_of("r = com.microsoft.DequantizeLinear <axis = 1> (a, columns, zeros)"
                     "y = com.microsoft.QuantizeLinear (r, s, z)"),
            (Types{"DequantizeLinear", "QuantizeLinear"}));
}

TEST(QLinear, KeepsWhatTheOperatorSays) {
  const auto model = adapted(
      "y = com.microsoft.QLinearAveragePool <kernel_shape = [1], strides = [2],"
      "channels_last = 0> (a, s, z, s, z)");
  const ir::Node& pool = **std::next(model->graph.nodes().begin());
  EXPECT_EQ(pool.ints_or("strides", {}), std::vector<int64_t>{2});
  EXPECT_FALSE(pool.has_attribute("channels_last"));
  EXPECT_EQ(model->graph.nodes().back()->input(1)->name(), "s");
  EXPECT_EQ(model->graph.outputs()[0]->name(), "y");
}

// A zero point that is left out is 0 of the type of the integers.
TEST(QLinear, ZeroPointsMayBeLeftOut) {
  const auto model = adapted("y = com.microsoft.QLinearAdd (a, s, , b, s, , s)");
  EXPECT_EQ(model->graph.nodes().front()->num_inputs(), 2);
  const Tensor& zero = model->graph.nodes().back()->input(2)->initializer();
  EXPECT_EQ(zero.dtype(), Dtype::u8);
  EXPECT_EQ(zero.values<uint8_t>()[0], 0);
}

TEST(QLinear, SoftmaxMeansWhatItsOpsetSays) {
  const auto softmax = [](const char* attributes) {
    return types_of("y = com.microsoft.QLinearSoftmax <" + std::string(attributes) +
                    "> (a, s, z, s, z)");
  };
  const Types one{"DequantizeLinear", "Softmax", "QuantizeLinear"};
  EXPECT_EQ(softmax("opset = 13, axis = 0"), one);
  EXPECT_EQ(softmax("opset = 12"), one);  // the last axis
  EXPECT_EQ(softmax("opset = 12, axis = 0"), (Types{"DequantizeLinear", "Shape", "Flatten",
                                                    "Softmax", "Reshape", "QuantizeLinear"}));
}

TEST(QLinear, GemmIsAConvolutionOfPixels) {
  EXPECT_EQ(
      types_of("y = com.microsoft.QGemm <transB = 1> (a, s, z, w, columns, zeros, bias, s, z)"),
      (Types{"Unsqueeze", "Unsqueeze", "Reshape", "QLinearConv", "Squeeze"}));
  EXPECT_EQ(types_of("y = com.microsoft.QGemm (a, s, z, w, s, z, , s, z)"),
            (Types{"Unsqueeze", "Transpose", "Unsqueeze", "QLinearConv", "Squeeze"}));
  const Types sums{"MatMulInteger", "Add", "Mul", "Cast", "Mul"};
  EXPECT_EQ(types_of("y = com.microsoft.QGemm (a, s, z, w, s, z, bias)"), sums);
  Types rounded = sums;
  rounded.emplace_back("QuantizeLinear");
  EXPECT_EQ(types_of("y = com.microsoft.QGemm (a, s, z, w, s, z, rows, s, z)"), rounded);
}

TEST(QLinear, ProductsOfDynamicQuantisation) {
  EXPECT_EQ(types_of("y = com.microsoft.MatMulIntegerToFloat (a, w, s, columns, z, zeros, shift)"),
            (Types{"MatMulInteger", "Mul", "Cast", "Mul", "Add"}));
  EXPECT_EQ(types_of("y = com.microsoft.DynamicQuantizeMatMul (x, w, columns)"),
            (Types{"DynamicQuantizeLinear", "MatMulInteger", "Mul", "Cast", "Mul"}));
}

TEST(QLinear, RefusesByName) {
  const auto named = [](const std::string& node) {
    return refusal_of("[n] y = com.microsoft." + node);
  };
  EXPECT_EQ(refusal_of("[n] = com.microsoft.QLinearAdd (a, s, z, b, s, z, s, z) y = Neg (x)"),
            "[com.microsoft.QLinearAdd \"n\"] its output is left out");
  EXPECT_EQ(named("QLinearAdd (a, s, z, b, s, z)"),
            "[com.microsoft.QLinearAdd \"n\"] input 6 is left out; it is required");
  EXPECT_EQ(named("QLinearAdd (a, s, z, , s, z, s, z)"),
            "[com.microsoft.QLinearAdd \"n\"] input 3 is left out; it is required");
  EXPECT_EQ(named("QLinearAdd (a, s, z, b, columns, z, s, z)"),
            "[com.microsoft.QLinearAdd \"n\"] input 4 has 3 elements; expected 1");
  EXPECT_EQ(named("QLinearSigmoid (a, s, zeros, s, z)"),
            "[com.microsoft.QLinearSigmoid \"n\"] input 2 has 3 elements; expected 1");
  EXPECT_EQ(named("QLinearSigmoid (a, s, z, s, z, s)"),
            "[com.microsoft.QLinearSigmoid \"n\"] has 6 inputs; expected 1 to 5");
  EXPECT_EQ(
      named("QLinearSigmoid <alpha = 1.0> (a, s, z, s, z)"),
      "[com.microsoft.QLinearSigmoid \"n\"] has an attribute \"alpha\" that the operator does "
      "not define");
  EXPECT_EQ(named("QLinearConcat <axis = 1> (s, z, a, s)"),
            "[com.microsoft.QLinearConcat \"n\"] has 4 inputs; expected a scale, a zero point and "
            "three a tensor");
  EXPECT_EQ(named("QLinearConcat (s, z, a, s, z)"),
            "[com.microsoft.QLinearConcat \"n\"] attribute \"axis\" is missing; it is required");
  EXPECT_EQ(named("QLinearSoftmax (a, s, z, s, z)"),
            "[com.microsoft.QLinearSoftmax \"n\"] attribute \"opset\" is missing; it is required");
  EXPECT_EQ(named("QLinearGlobalAveragePool <channels_last = 1> (a, s, z, s, z)"),
            "[com.microsoft.QLinearGlobalAveragePool \"n\"] channels_last is 1; 0 is read");
  EXPECT_EQ(named("QGemm (a, s, z, w, shift, zeros, bias, s, zeros)"),
            "[com.microsoft.QGemm \"n\"] input 8 has 3 elements; expected 1");
  EXPECT_EQ(named("QGemm (a, s, z, zeros, s, z)"),
            "[com.microsoft.QGemm \"n\"] input 3 has rank 1; expected 2");
  EXPECT_EQ(named("MatMulIntegerToFloat (a, w, s)"),
            "[com.microsoft.MatMulIntegerToFloat \"n\"] input 3 is left out; it is required");
}

}  // namespace
}  // namespace tercel::passes
