#include <gtest/gtest.h>

#include "src/ir/builder.h"
#include "src/ir/text.h"
#include "src/ir/verify.h"
#include "src/passes/match.h"
#include "src/passes/pass_list.h"

namespace tercel::passes {
namespace {

// x → DequantizeLinear → Conv of a dequantised weight of 2 channels → Relu, or Clip →
// QuantizeLinear.
struct QdqModel {
  ir::Model model;
  ir::Builder b{model.graph};
  Tensor weight = Tensor::from<int8_t>({1, -2, 3, 4}, {2, 2, 1});
  Tensor weight_scale = Tensor::from({0.5F, 0.25F}, {2});
  Tensor bias;
  uint8_t zero = 0;    // of the result
  float greatest = 0;  // of a Clip
  std::vector<ir::Builder::Attr> attributes{{"pads", std::vector<int64_t>{1, 0}}};

  // The nodes that are left.
  std::vector<const ir::Node*> fused() {
    model.opsets[""] = ir::kOpset;
    ir::Value* x = model.graph.add_input(
        "x", ir::Type::tensor(Dtype::u8, {ir::Dim("n"), ir::Dim(2), ir::Dim("length")}));
    ir::Value* image =
        b.op("DequantizeLinear", {x, b.scalar(0.1F), b.constant(Tensor::scalar(uint8_t{7}))});
    ir::Value* w = b.op("DequantizeLinear", {b.constant(weight), b.constant(weight_scale)},
                        {{"axis", int64_t{0}}});
    ir::Value* y =
        b.op("Conv", {image, w, bias.defined() ? b.constant(bias) : nullptr}, attributes);
    ir::Value* bounded =
        greatest > 0 ? b.op("Clip", {y, b.scalar(0.0F), b.scalar(greatest)}) : b.op("Relu", {y});
    model.graph.add_output(b.op(
        "Identity",
        {b.op("QuantizeLinear", {bounded, b.scalar(0.2F), b.constant(Tensor::scalar(zero))})}));
    fuse_qlinear_conv(model, {});
    eliminate_dead(model, {});
    ir::verify(model);
    std::vector<const ir::Node*> nodes;
    for (const auto& node : model.graph.nodes()) nodes.push_back(node.get());
    return nodes;
  }
};

TEST(FuseQLinearConv, TakesWhatStaticQuantisationWrites) {
  QdqModel qdq;
  qdq.bias = Tensor::from({0.2F, -0.3F}, {2});
  const auto nodes = qdq.fused();
  ASSERT_EQ(nodes.size(), 2U);
  ASSERT_TRUE(nodes[0]->is("QLinearConv"));
  ASSERT_EQ(nodes[0]->num_inputs(), 9);
  EXPECT_EQ(nodes[0]->ints_or("pads", {}), (std::vector<int64_t>{1, 0}));
  EXPECT_EQ(scalar_of(nodes[0]->input(2)), 7);
  const Tensor& w_zero = nodes[0]->input(5)->initializer();
  EXPECT_EQ(w_zero.dtype(), Dtype::i8);
  const Tensor& bias = nodes[0]->input(8)->initializer();
  EXPECT_EQ(bias.values<int32_t>()[0], 4);    // 0.2 / (0.1 · 0.5)
  EXPECT_EQ(bias.values<int32_t>()[1], -12);  // -0.3 / (0.1 · 0.25)
}

TEST(FuseQLinearConv, CutsAtTheZeroPoint) {
  QdqModel shifted;
  shifted.zero = 3;  // what Relu cuts has bytes
  const auto nodes = shifted.fused();
  ASSERT_EQ(nodes.size(), 3U);
  EXPECT_TRUE(nodes[0]->is("QLinearConv"));
  ASSERT_TRUE(nodes[1]->is("Max"));
  EXPECT_EQ(scalar_of(nodes[1]->input(1)), 3);
}

TEST(FuseQLinearConv, ClipsAsBytes) {
  QdqModel six;
  six.zero = 3;
  six.greatest = 6;
  const auto nodes = six.fused();
  ASSERT_EQ(nodes.size(), 4U);
  ASSERT_TRUE(nodes[1]->is("Max"));
  EXPECT_EQ(scalar_of(nodes[1]->input(1)), 3);
  ASSERT_TRUE(nodes[2]->is("Min"));
  EXPECT_EQ(scalar_of(nodes[2]->input(1)), 33);  // 6 / 0.2 + 3
  QdqModel all;
  all.greatest = 51;  // 255 steps
  EXPECT_EQ(all.fused().size(), 2U);
}

TEST(FuseQLinearConv, TakesDepthwiseConvolutions) {
  QdqModel depthwise;
  depthwise.weight = Tensor::from<int8_t>({1, 2}, {2, 1, 1});
  depthwise.attributes.push_back({"group", int64_t{2}});
  const auto nodes = depthwise.fused();
  ASSERT_EQ(nodes.size(), 2U);
  ASSERT_TRUE(nodes[0]->is("QLinearConv"));
  EXPECT_EQ(nodes[0]->int_or("group", 1), 2);
}

TEST(FuseQLinearConv, TakesWholeChains) {
  const char* text = R"(
<ir_version: 10, opset_import: ["" : 28]>
g (uint8[n, 2, 9] x) => (y)
  <float s = {0.5}, uint8 z = {3}, int8[2, 2, 1] w = {1, 2, 3, 4}, int8[2, 1, 1] d = {1, 2}>
{
  a = DequantizeLinear (x, s, z)  u = DequantizeLinear (w, s)  b = Conv (a, u)
  c = QuantizeLinear (b, s, z)  e = DequantizeLinear (c, s, z)
  v = DequantizeLinear (d, s)  f = Conv <group = 2> (e, v)
  h = QuantizeLinear (f, s, z)  i = DequantizeLinear (h, s, z)  j = Conv (i, u)  y = QuantizeLinear (j, s, z)
})";
  const auto model = ir::parse_text(text, "test");
  fuse_qlinear_conv(*model, {});
  eliminate_dead(*model, {});
  ir::verify(*model);
  EXPECT_EQ(model->graph.nodes().size(), 3U);
}

TEST(FuseQLinearConv, LeavesWhatItMust) {
  QdqModel grouped;
  grouped.weight = Tensor::from<int8_t>({1, 2, 3, 4}, {4, 1, 1});
  grouped.weight_scale = Tensor::scalar(0.5F);
  grouped.attributes.push_back({"group", int64_t{2}});
  EXPECT_EQ(grouped.fused().size(), 6U);
  QdqModel large;
  large.bias = Tensor::from({1e30F, 0.0F}, {2});
  EXPECT_EQ(large.fused().size(), 6U);
}

}  // namespace
}  // namespace tercel::passes
