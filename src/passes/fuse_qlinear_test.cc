#include <gtest/gtest.h>

#include "src/ir/text.h"
#include "src/ir/verify.h"
#include "src/passes/pass_list.h"

namespace tercel::passes {
namespace {

// What is left of a graph over bytes a and b, whose text may name scales s and t, zero points z,
// and bounds.
std::vector<std::string> fused(const std::string& nodes) {
  auto model = ir::parse_text(R"(
<ir_version: 10, opset_import: ["" : 28]>
g (uint8[1, 2, 4, 4] a, uint8[1, 2, 4, 4] b) => (uint8[n, c, h, w] y)
  <float s = {0.5}, float t = {0.25}, uint8 z = {3}, float low = {-0.5}, float high = {4.0}, float far = {1000.0}>
{
  x = DequantizeLinear (a, s, z)
  v = DequantizeLinear (b, t, z)
)" + nodes + "}",
                              "test");
  fuse_qlinear(*model, {});
  eliminate_dead(*model, {});
  ir::verify(*model);
  std::vector<std::string> types;
  for (const auto& node : model->graph.nodes()) types.push_back(node->op_type());
  return types;
}

using Types = std::vector<std::string>;

TEST(FuseQLinear, AdditionsOfBytes) {
  EXPECT_EQ(fused("w = Add (x, v)  y = QuantizeLinear (w, t, z)"), Types{"QLinearAdd"});
  EXPECT_EQ(fused("w = Add (x, v)  r = Relu (w)  y = QuantizeLinear (r, t, z)"),
            (Types{"QLinearAdd", "Max"}));
}

TEST(FuseQLinear, WhatMovesOrComparesElements) {
  EXPECT_EQ(fused("w = MaxPool <kernel_shape = [2, 2]> (x)  y = QuantizeLinear (w, s, z)"),
            Types{"MaxPool"});
  EXPECT_EQ(fused("w = Concat <axis = 1> (x, x)  y = QuantizeLinear (w, s, z)"), Types{"Concat"});
  EXPECT_EQ(fused("w = Relu (x)  y = QuantizeLinear (w, s, z)"), Types{"Max"});
}

TEST(FuseQLinear, CutsBytesWhereNumbersWereCut) {
  EXPECT_EQ(fused("w = Clip (x, low, high)  y = QuantizeLinear (w, s, z)"), (Types{"Max", "Min"}));
  EXPECT_EQ(fused("w = Add (x, v)  r = Clip (w, low, far)  y = QuantizeLinear (r, t, z)"),
            (Types{"QLinearAdd", "Max"}));
  EXPECT_EQ(fused("w = Add (x, v)  r = Clip (w)  y = QuantizeLinear (r, t, z)"),
            Types{"QLinearAdd"});
  EXPECT_EQ(
      fused("m = Identity (low)  w = Add (x, v)  r = Clip (w, m)  y = QuantizeLinear (r, t, z)")
          .size(),
      6U);
}

TEST(FuseQLinear, ConcatOfOtherScalesIsOfBytesRoundedBefore) {
  EXPECT_EQ(fused("w = Concat <axis = 1> (x, v)  y = QuantizeLinear (w, s, z)"),
            (Types{"DequantizeLinear", "QuantizeLinear", "Concat"}));
  EXPECT_EQ(fused("w = Concat <axis = 1> (x, v)  r = Relu (w)  y = QuantizeLinear (r, s, z)"),
            (Types{"DequantizeLinear", "QuantizeLinear", "Concat", "Max"}));
}

TEST(FuseQLinear, LeavesWhatIsScaledAnew) {
  EXPECT_EQ(fused("w = MaxPool <kernel_shape = [2, 2]> (x)  y = QuantizeLinear (w, t, z)").size(),
            3U);
}

}  // namespace
}  // namespace tercel::passes
