#include "src/passes/quantize_groups.h"

#include <limits>

#include <gtest/gtest.h>

#include "src/base/packed.h"
#include "src/ir/builder.h"
#include "src/ops/infer.h"

namespace tercel::passes {
namespace {

// Y[rows, 16] = X[rows, 64] · weight[64, 16].
std::unique_ptr<ir::Model> product_by(std::vector<float> weight) {
  auto model = std::make_unique<ir::Model>();
  model->opsets[""] = ir::kOpset;
  ir::Value* x = model->graph.add_input(
      "x", ir::Type::tensor(Dtype::f32, ir::Dims{ir::Dim("rows"), ir::Dim(64)}));
  ir::Builder b(model->graph);
  ir::Value* w = b.constant(Tensor::from(weight, {64, 16}), "w");
  model->graph.add_output(b.matmul(x, w));
  ops::infer_types(*model);
  return model;
}

TEST(QuantizeGroups, TheFarthestElementOfAGroupIsMinusEight) {
  std::vector<float> weight(64 * 16, 0.0F);
  weight[0] = 4;               // row 0, column 0: scale -0.5
  weight[16] = 1;              // -2
  weight[32] = -4;             // 8, of which there are 7
  weight[33 * 16 + 15] = -16;  // the second group of the last column: scale 2
  const auto model = product_by(weight);
  quantize_groups(*model);
  const ir::Node* product = model->graph.outputs()[0]->producer();
  const ir::Node* node = product->input(1)->producer();
  ASSERT_TRUE(product->is("MatMul"));
  ASSERT_TRUE(node != nullptr && node->is("DequantizeLinear"));
  EXPECT_EQ(node->int_or("axis", 1), 0);
  EXPECT_EQ(node->int_or("block_size", 0), kQuantizedGroup);
  const Tensor values = node->input(0)->initializer();
  const Tensor scale = node->input(1)->initializer();
  EXPECT_EQ(values.dtype(), Dtype::i4);
  EXPECT_EQ(values.shape(), (Shape{64, 16}));
  EXPECT_EQ(scale.shape(), (Shape{2, 16}));
  EXPECT_EQ(scale.values<float>()[0], -0.5F);
  EXPECT_EQ(scale.values<float>()[1], 0);
  EXPECT_EQ(scale.values<float>()[31], 2);
  EXPECT_EQ(packed_element(values.data(), 0, 4), 8);    // -8
  EXPECT_EQ(packed_element(values.data(), 16, 4), 14);  // -2
  EXPECT_EQ(packed_element(values.data(), 32, 4), 7);
  EXPECT_EQ(packed_element(values.data(), 33 * 16 + 15, 4), 8);
}

TEST(QuantizeGroups, AWeightThatIsNotFiniteStays) {
  std::vector<float> weight(64 * 16, 1.0F);
  weight[100] = std::numeric_limits<float>::infinity();
  const auto model = product_by(weight);
  quantize_groups(*model);
  EXPECT_TRUE(model->graph.outputs()[0]->producer()->input(1)->is_constant());
}

}  // namespace
}  // namespace tercel::passes
