#include "src/passes/quantize_dynamic.h"

#include <algorithm>
#include <cmath>
#include <random>

#include <gtest/gtest.h>

#include "src/ir/builder.h"
#include "src/ir/verify.h"
#include "src/passes/match.h"

namespace tercel::passes {
namespace {

std::unique_ptr<ir::Model> model_of_two_products(int64_t k, int64_t n) {
  auto model = std::make_unique<ir::Model>();
  model->opsets[""] = ir::kOpset;
  ir::Graph& graph = model->graph;
  ir::Value* x = graph.add_input("x", {});
  x->type.kind = ir::Type::Kind::tensor;
  x->type.dtype = Dtype::f32;
  x->type.dims = ir::Dims{ir::Dim("rows"), ir::Dim(k)};
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  const auto matrix = [&](const char* name, Shape shape) {
    Tensor tensor(Dtype::f32, std::move(shape));
    for (float& value : tensor.values<float>()) value = normal(random);
    return graph.add_initializer(name, tensor);
  };
  ir::Builder b(graph);
  ir::Value* y = b.matmul(x, matrix("w", {k, n}));
  ir::Value* z = b.op("Gemm", {y, matrix("v", {k, n}), matrix("c", {k})}, {{"transB", int64_t{1}}});
  graph.add_output(z);
  return model;
}

TEST(QuantizeDynamic, MakesCallsOfAFunction) {
  auto model = model_of_two_products(48, 40);
  const Tensor v = model->graph.initializers()[1]->initializer();
  EXPECT_EQ(quantize_dynamic(*model), (std::vector<std::string>{"w", "v"}));
  ir::verify(*model);
  EXPECT_NE(model->find_function("tercel", "DynamicQuantizedMatMul"), nullptr);
  EXPECT_EQ(model->find_function("tercel", "DynamicQuantizedConv"), nullptr);
  EXPECT_EQ(model->opsets.at("tercel"), 1);
  int calls = 0;
  for (const auto& node : model->graph.nodes()) {
    EXPECT_FALSE(node->is("MatMul") || node->is("Gemm"));
    if (node->domain() != "tercel") continue;
    ++calls;
    const ir::Node* weight = made_by(node->input(1), "DequantizeLinear");
    ASSERT_NE(weight, nullptr);
    const Tensor& values = weight->input(0)->initializer();
    const Tensor& scales = weight->input(1)->initializer();
    EXPECT_EQ(values.dtype(), Dtype::i8);
    EXPECT_EQ(scales.shape(), (Shape{values.shape()[1]}));
    if (values.shape() != Shape{40, 48}) continue;
    for (int64_t k = 0; k < 40; ++k) {  // of the transposed weight of the Gemm
      for (int64_t n = 0; n < 48; ++n) {
        const float scale = scales.values<float>()[static_cast<std::size_t>(n)];
        const float value = v.values<float>()[static_cast<std::size_t>(n * 40 + k)];
        const auto q = values.values<int8_t>()[static_cast<std::size_t>(k * 48 + n)];
        EXPECT_LE(std::abs(value - static_cast<float>(q) * scale), scale * 0.501F);
      }
    }
  }
  EXPECT_EQ(calls, 2);
}

TEST(QuantizeDynamic, LeavesWhatItMust) {
  auto kept = model_of_two_products(48, 40);
  EXPECT_EQ(quantize_dynamic(*kept, {"w"}), std::vector<std::string>{"v"});
  auto small = model_of_two_products(5, 7);
  EXPECT_TRUE(quantize_dynamic(*small).empty());
  EXPECT_TRUE(small->functions.empty());
  auto infinite = model_of_two_products(48, 40);
  Tensor w(Dtype::f32, {48, 40});
  std::fill_n(w.values<float>().begin(), w.size(), INFINITY);
  ir::Value* value = infinite->graph.initializers()[0];
  infinite->graph.rename(value, "old");
  infinite->graph.replace_uses(value, infinite->graph.add_initializer("w", w));
  EXPECT_EQ(quantize_dynamic(*infinite), std::vector<std::string>{"v"});
}

TEST(QuantizeDynamic, QuantisesConvolutionsOfManyChannels) {
  auto model = std::make_unique<ir::Model>();
  model->opsets[""] = ir::kOpset;
  ir::Graph& graph = model->graph;
  ir::Value* x = graph.add_input("x", ir::Type::tensor(Dtype::f32, {ir::Dim("n"), 3, 9, 9}));
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  const auto weight = [&](const char* name, Shape shape) {
    Tensor tensor(Dtype::f32, std::move(shape));
    for (float& value : tensor.values<float>()) value = normal(random);
    return graph.add_initializer(name, tensor);
  };
  ir::Builder b(graph);
  ir::Value* first = b.op("Conv", {x, weight("few", {16, 3, 3, 3})});
  ir::Value* w = weight("w", {32, 16, 3, 3});
  const Tensor exact = w->initializer();
  ir::Value* second = b.op("Conv", {first, w},
                           {{"strides", std::vector<int64_t>{2, 1}},
                            {"kernel_shape", std::vector<int64_t>{3, 3}},
                            {"pads", std::vector<int64_t>{1, 0, 1, 0}}});
  ir::Value* third =
      b.op("Conv", {second, weight("grouped", {32, 16, 1, 1})}, {{"group", int64_t{2}}});
  graph.add_output(b.op("Conv", {third, weight("v", {40, 32, 1, 1}), weight("bias", {40})}));

  EXPECT_EQ(quantize_dynamic(*model), (std::vector<std::string>{"w", "v"}));
  ir::verify(*model);
  EXPECT_NE(model->find_function("tercel", "DynamicQuantizedConv"), nullptr);
  int calls = 0;
  for (const auto& node : model->graph.nodes()) {
    if (node->domain() != "tercel") continue;
    ++calls;
    ASSERT_NE(node->input(2), nullptr);
    const ir::Node* dequantized = made_by(node->input(1), "DequantizeLinear");
    ASSERT_NE(dequantized, nullptr);
    EXPECT_EQ(dequantized->int_or("axis", 1), 0);
    const Tensor& values = dequantized->input(0)->initializer();
    if (values.shape() != exact.shape()) continue;
    EXPECT_EQ(node->ints_or("strides", {}), (std::vector<int64_t>{2, 1}));
    EXPECT_FALSE(node->has_attribute("kernel_shape"));
    const Tensor& scales = dequantized->input(1)->initializer();
    for (std::size_t i = 0; i < static_cast<std::size_t>(values.size()); ++i) {
      const float scale = scales.values<float>()[i / 144];
      const float q = values.values<int8_t>()[i];
      EXPECT_LE(std::abs(exact.values<float>()[i] - q * scale), scale * 0.501F);
    }
  }
  EXPECT_EQ(calls, 2);
}

}  // namespace
}  // namespace tercel::passes
