#include <gtest/gtest.h>

#include "src/ir/text.h"
#include "src/ir/verify.h"
#include "src/passes/pass_list.h"

namespace tercel::passes {
namespace {

using Types = std::vector<std::string>;

// What is left of a graph over an image x and matrices a and b, whose text may name scales, zero
// points and weights.
Types widened(const std::string& node) {
  auto model = ir::parse_text(R"(
<ir_version: 10, opset_import: ["" : 28]>
g (uint8[n, 4, 4, 4] x, uint8[m, 2] a, uint8[2, 3] b) => (y)
  <float s = {0.5}, uint8 z = {3}, int8 u = {0}, float[2] by_channel = {0.5, 0.25}, int8[2] zeros = {0, 1},
   int8[2, 2, 1, 1] w = {1, 2, 3, 4}, int8[1, 4, 1, 1] whole = {1, 2, 3, 4},
   int8[4, 1, 1, 1] each = {1, 2, 3, 4}, int8[8, 1, 1, 1] twice = {1, 2, 3, 4, 5, 6, 7, 8}, int32[2] bias = {5, 6}, uint8[2, 3] c = {1, 2, 3, 4, 5, 6}>
{ )" + node + "}",
                              "test");
  widen_products(*model, {});
  eliminate_dead(*model, {});
  ir::verify(*model);
  Types types;
  for (const auto& each : model->graph.nodes()) types.push_back(each->op_type());
  return types;
}

TEST(WidenProducts, ConvolutionsOfGroups) {
  EXPECT_EQ(widened("y = QLinearConv <group = 2> (x, s, z, w, s, u, s, z)"),
            (Types{"DequantizeLinear", "DequantizeLinear", "Conv", "QuantizeLinear"}));
  EXPECT_EQ(widened("y = QLinearConv <group = 2> (x, s, z, w, by_channel, zeros, s, z, bias)"),
            (Types{"DequantizeLinear", "DequantizeLinear", "Mul", "DequantizeLinear", "Conv",
                   "QuantizeLinear"}));
  EXPECT_EQ(widened("y = QLinearConv <group = 4> (x, s, z, twice, s, u, s, z)"),
            (Types{"DequantizeLinear", "DequantizeLinear", "Conv", "QuantizeLinear"}));
}

TEST(WidenProducts, FactorsThatAreComputed) {
  EXPECT_EQ(widened("y = QLinearMatMul (a, s, z, b, s, z, s, z)"),
            (Types{"DequantizeLinear", "DequantizeLinear", "MatMul", "QuantizeLinear"}));
}

TEST(WidenProducts, LeavesWhatIsMultipliedAsBytes) {
  EXPECT_EQ(widened("y = QLinearConv (x, s, z, whole, s, u, s, z)"), Types{"QLinearConv"});
  EXPECT_EQ(widened("y = QLinearConv <group = 4> (x, s, z, each, s, u, s, z)"),
            Types{"QLinearConv"});
  EXPECT_EQ(widened("y = QLinearMatMul (a, s, z, c, s, z, s, z)"), Types{"QLinearMatMul"});
}

}  // namespace
}  // namespace tercel::passes
