#include <gtest/gtest.h>

#include "src/ops/op_test_util.h"

namespace tercel::ops {
namespace {

using Ints = std::vector<int64_t>;

Tensor counting(const Shape& shape) {
  Tensor tensor(Dtype::f32, shape);
  float next = 1;
  for (float& value : tensor.values<float>()) value = next++;
  return tensor;
}

Tensor ones(const Shape& shape) {
  Tensor tensor(Dtype::f32, shape);
  for (float& value : tensor.values<float>()) value = 1;
  return tensor;
}

TEST(Conv, Literals) {
  // Sums over 3 x 3 windows of 1 … 16.
  const auto sums = run_op("Conv", {counting({1, 1, 4, 4}), ones({1, 1, 3, 3})})[0];
  EXPECT_EQ(to_doubles(sums), (std::vector<double>{54, 63, 90, 99}));
  const auto padded =
      run_op("Conv", {counting({1, 1, 2, 2}), ones({1, 1, 3, 3}), Tensor::from({0.5F}, {1})},
             {{"pads", Ints{1, 1, 1, 1}}})[0];
  EXPECT_EQ(to_doubles(padded), (std::vector<double>{10.5, 10.5, 10.5, 10.5}));
  const auto strided =
      run_op("Conv", {counting({1, 1, 5}), Tensor::from({1.0F, 10.0F}, {1, 1, 2})},
             {{"strides", Ints{2}}, {"dilations", Ints{2}}, {"pads", Ints{1, 0}}})[0];
  EXPECT_EQ(to_doubles(strided), (std::vector<double>{20, 42}));
}

TEST(Conv, PadsByItself) {
  const std::string same = "SAME_UPPER";
  const auto up = run_op("Conv", {counting({1, 1, 4}), ones({1, 1, 2})}, {{"auto_pad", same}})[0];
  EXPECT_EQ(to_doubles(up), (std::vector<double>{3, 5, 7, 4}));
  const auto down = run_op("Conv", {counting({1, 1, 4}), ones({1, 1, 2})},
                           {{"auto_pad", std::string("SAME_LOWER")}})[0];
  EXPECT_EQ(to_doubles(down), (std::vector<double>{1, 3, 5, 7}));
}

TEST(Conv, EveryTypeAndInstructionSetAgrees) {
  const Tensor x = random_tensor(Dtype::f64, {2, 6, 9, 11}, 1);
  const Tensor w = random_tensor(Dtype::f64, {4, 3, 3, 2}, 2);
  const Tensor b = random_tensor(Dtype::f64, {4}, 3);
  const std::vector<ir::Builder::Attr> attributes{
      {"group", int64_t{2}}, {"pads", Ints{1, 0, 2, 1}}, {"strides", Ints{2, 1}}};
  const OpRun exact = run_op_with({}, "Conv", {x, w, b}, attributes);
  EXPECT_EQ(exact.implementation, "conv_generic");
  const auto expected = to_doubles(exact.outputs[0]);
  const auto as = [](const Tensor& tensor, Dtype dtype) {
    return from_doubles(to_doubles(tensor), dtype, tensor.shape());
  };
  for (const Dtype dtype : {Dtype::f32, Dtype::f16, Dtype::bf16}) {
    const double tolerance = dtype == Dtype::f32 ? 1e-5 : dtype == Dtype::f16 ? 1e-2 : 8e-2;
    for (const CpuIsa isa : {CpuIsa::generic, best_cpu_isa()}) {
      const OpRun got =
          run_op_with({.isa = isa}, "Conv", {as(x, dtype), as(w, dtype), as(b, dtype)}, attributes);
      EXPECT_LE(distance(got.outputs[0], expected), tolerance) << to_string(dtype);
      EXPECT_EQ(got.implementation, dtype == Dtype::f32 ? "conv_f32" : "conv_generic");
    }
  }
}

TEST(Conv, TakesAnActivationAndAResidual) {
  const Tensor x = random_tensor(Dtype::f32, {2, 3, 8, 8}, 1);
  const Tensor w = random_tensor(Dtype::f32, {5, 3, 3, 3}, 2);
  const Tensor residual = random_tensor(Dtype::f32, {2, 5, 6, 6}, 3);
  const auto plain = to_doubles(run_op("Conv", {x, w})[0]);
  RunOptions options;
  options.epilogue.activation = Activation::relu;
  options.epilogue.residual = true;
  const Tensor fused = run_op_with(options, "Conv", {x, w, residual}).outputs[0];
  const auto added = to_doubles(residual);
  std::vector<double> expected;
  for (std::size_t i = 0; i < plain.size(); ++i)
    expected.push_back(std::max(plain[i], 0.0) + added[i]);
  EXPECT_LE(distance(fused, expected), 1e-6);
}

TEST(Conv, TransposedIsTheGradientOfConv) {
  // <conv(x), y> = <x, transposed(y)> for the same weight.
  const std::vector<ir::Builder::Attr> attributes{{"group", int64_t{2}},
                                                  {"pads", Ints{1, 0, 0, 2}},
                                                  {"strides", Ints{2, 3}},
                                                  {"dilations", Ints{1, 2}}};
  const Tensor x = random_tensor(Dtype::f32, {2, 6, 9, 13}, 1);
  const Tensor w = random_tensor(Dtype::f32, {4, 3, 2, 3}, 2);
  const Tensor forward = run_op("Conv", {x, w}, attributes)[0];
  const Tensor y = random_tensor(Dtype::f32, forward.shape(), 3);
  auto shaped = attributes;
  shaped.push_back({"output_padding", Ints{0, 1}});
  for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
    const Tensor back = run_op("ConvTranspose",
                               {from_doubles(to_doubles(y), dtype, y.shape()),
                                from_doubles(to_doubles(w), dtype, w.shape())},
                               shaped)[0];
    ASSERT_EQ(back.shape(), x.shape());
    const auto product = [](const Tensor& a, const Tensor& b) {
      const auto p = to_doubles(a);
      const auto q = to_doubles(b);
      double sum = 0;
      for (std::size_t i = 0; i < p.size(); ++i) sum += p[i] * q[i];
      return sum;
    };
    EXPECT_NEAR(product(forward, y), product(x, back), 1e-3);
  }
}

TEST(Conv, EmptyOnes) {
  EXPECT_EQ(run_op("Conv", {ones({0, 2, 5, 5}), ones({3, 2, 3, 3})})[0].shape(),
            (Shape{0, 3, 3, 3}));
  EXPECT_EQ(run_op("Conv", {ones({1, 2, 5}), ones({0, 2, 3})})[0].shape(), (Shape{1, 0, 3}));
  EXPECT_EQ(run_op("Conv", {ones({1, 2, 0}), ones({1, 2, 3})})[0].shape(), (Shape{1, 1, 0}));
}

TEST(Conv, Refusals) {
  const Tensor x = ones({1, 2, 5, 5});
  EXPECT_THROW(run_op("Conv", {x, ones({1, 3, 3, 3})}), Error);
  EXPECT_THROW(run_op("Conv", {x, ones({1, 2, 3})}), Error);
  EXPECT_THROW(run_op("Conv", {x, ones({1, 2, 7, 7})}), Error);
  EXPECT_THROW(run_op("Conv", {x, ones({1, 2, 3, 3}), ones({2})}), Error);
  EXPECT_THROW(run_op("Conv", {x, ones({3, 1, 3, 3})}, {{"group", int64_t{2}}}), Error);
  EXPECT_THROW(run_op("Conv", {x, ones({1, 2, 3, 3})}, {{"group", int64_t{0}}}), Error);
  EXPECT_THROW(run_op("Conv", {x, ones({1, 2, 3, 3})}, {{"strides", Ints{0, 1}}}), Error);
  EXPECT_THROW(run_op("Conv", {x, ones({1, 2, 3, 3})}, {{"pads", Ints{-1, 0, 0, 0}}}), Error);
  EXPECT_THROW(run_op("Conv", {x, ones({1, 2, 3, 3})}, {{"dilations", Ints{INT64_MAX, 1}}}), Error);
  EXPECT_THROW(run_op("Conv", {x, ones({1, 2, 3, 3})}, {{"kernel_shape", Ints{2, 3}}}), Error);
  EXPECT_THROW(run_op("Conv", {x, ones({1, 2, 3, 3})}, {{"pads", Ints(4, INT64_MAX / 2)}}), Error);
}

TEST(Conv, ShapesKeepSymbols) {
  const auto type = ir::Type::tensor(Dtype::f32, {ir::Dim("batch"), 3, ir::Dim("h"), ir::Dim("w")});
  const auto weight = ir::Type::tensor(Dtype::f32, ir::to_dims({8, 3, 3, 3}));
  EXPECT_EQ(ir::to_string(infer_op("Conv", {type, weight}, {{"pads", Ints(4, 1)}})[0]),
            "float[batch,8,h,w]");
}

}  // namespace
}  // namespace tercel::ops
