#include <cmath>

#include <gtest/gtest.h>

#include "src/ops/op_test_util.h"

namespace tercel::ops {
namespace {

double tolerance(Dtype dtype) {
  if (dtype == Dtype::f64) return 1e-9;
  if (dtype == Dtype::f32) return 3e-6;
  return dtype == Dtype::f16 ? 4e-3 : 3e-2;
}

constexpr Dtype kFloats[] = {Dtype::f32, Dtype::f64, Dtype::f16, Dtype::bf16};

TEST(Softmax, Literals) {
  const auto y = to_doubles(run_op("Softmax", {Tensor::from({0.0F, 0.0F, 1.0F}, {1, 3})})[0]);
  EXPECT_NEAR(y[0], 0.211942, 1e-6);
  EXPECT_NEAR(y[2], 0.576117, 1e-6);
  EXPECT_EQ(to_doubles(run_op("Hardmax", {Tensor::from({1.0F, 3.0F, 3.0F, 2.0F}, {1, 4})})[0]),
            (std::vector<double>{0, 1, 0, 0}));
}

TEST(Softmax, EveryAxisTypeAndLogarithm) {
  for (const Dtype dtype : kFloats) {
    const Tensor x = random_tensor(dtype, {3, 5, 17}, 4);
    const auto values = to_doubles(x);
    const std::size_t sizes[] = {3, 5, 17};
    const std::size_t strides[] = {85, 17, 1};
    for (std::size_t axis = 0; axis < 3; ++axis) {
      std::vector<double> expected;
      for (std::size_t i = 0; i < values.size(); ++i) {
        const std::size_t start = i - i / strides[axis] % sizes[axis] * strides[axis];
        double sum = 0;
        for (std::size_t j = 0; j < sizes[axis]; ++j)
          sum += std::exp(values[start + j * strides[axis]]);
        expected.push_back(std::exp(values[i]) / sum);
      }
      const auto name = static_cast<int64_t>(axis);
      EXPECT_LE(distance(run_op("Softmax", {x}, {{"axis", name}})[0], expected), tolerance(dtype));
      for (double& value : expected) value = std::log(value);
      EXPECT_LE(distance(run_op("LogSoftmax", {x}, {{"axis", name}})[0], expected),
                tolerance(dtype));
    }
  }
  EXPECT_EQ(run_op("Softmax", {Tensor(Dtype::f32, {0, 4})})[0].shape(), (Shape{0, 4}));
  EXPECT_THROW(run_op("Softmax", {Tensor(Dtype::f32, {2, 4})}, {{"axis", int64_t{2}}}), Error);
}

TEST(Softmax, ARowDoesNotDependOnItsBatch) {
  const Tensor x = random_tensor(Dtype::f32, {13, 77}, 5);
  const Tensor all = run_op("Softmax", {x})[0];
  for (int64_t row = 0; row < 13; ++row) {
    EXPECT_TRUE(same_bits(run_op("Softmax", {x.slice(row, row + 1)})[0], all.slice(row, row + 1)));
  }
}

struct Norm {
  std::vector<double> y, mean, inverse;
};

Norm layer_norm(const Tensor& x, const Tensor& scale, const Tensor& bias, std::size_t columns,
                bool rms) {
  const auto v = to_doubles(x);
  const auto s = to_doubles(scale);
  const auto b = bias.defined() ? to_doubles(bias) : std::vector<double>(s.size(), 0.0);
  Norm result;
  for (std::size_t start = 0; start < v.size(); start += columns) {
    double mean = 0;
    double squares = 0;
    for (std::size_t i = 0; i < columns && !rms; ++i)
      mean += v[start + i] / static_cast<double>(columns);
    for (std::size_t i = 0; i < columns; ++i)
      squares += (v[start + i] - mean) * (v[start + i] - mean) / static_cast<double>(columns);
    result.mean.push_back(mean);
    result.inverse.push_back(1 / std::sqrt(squares + 1e-5));
    for (std::size_t i = 0; i < columns; ++i)
      result.y.push_back((v[start + i] - mean) * result.inverse.back() * s[i % s.size()] +
                         b[i % b.size()]);
  }
  return result;
}

TEST(LayerNormalization, StatisticsTypesAndAxes) {
  for (const Dtype dtype : kFloats) {
    const Tensor x = random_tensor(dtype, {2, 3, 4, 5}, 6);
    for (const int64_t axis : {-1, 2}) {
      const Shape columns = axis == -1 ? Shape{5} : Shape{4, 5};
      const Tensor scale = random_tensor(dtype, columns, 7);
      const Tensor bias = random_tensor(dtype, columns, 8);
      const auto count = static_cast<std::size_t>(element_count(columns));
      const Norm expected = layer_norm(x, scale, bias, count, false);
      const auto y = run_op("LayerNormalization", {x, scale, bias}, {{"axis", axis}}, 3);
      EXPECT_LE(distance(y[0], expected.y), tolerance(dtype)) << to_string(dtype);
      EXPECT_EQ(y[1].shape(), axis == -1 ? (Shape{2, 3, 4, 1}) : (Shape{2, 3, 1, 1}));
      EXPECT_LE(distance(y[1], expected.mean), 1e-5);
      EXPECT_LE(distance(y[2], expected.inverse), 1e-4);
      const Norm rms = layer_norm(x, scale, Tensor(), count, true);
      EXPECT_LE(distance(run_op("RMSNormalization", {x, scale}, {{"axis", axis}})[0], rms.y),
                tolerance(dtype));
    }
  }
}

TEST(LayerNormalization, BroadcastScaleAndRowBits) {
  const Tensor x = random_tensor(Dtype::f32, {6, 33}, 1);
  const Tensor one = Tensor::from({2.0F}, {1});
  const Norm expected = layer_norm(x, one, Tensor(), 33, false);
  const OpRun run = run_op_with({}, "LayerNormalization", {x, one});
  EXPECT_EQ(run.implementation, "norm_generic");
  EXPECT_LE(distance(run.outputs[0], expected.y), 1e-6);

  const Tensor scale = random_tensor(Dtype::f32, {33}, 2);
  const Tensor all = run_op("LayerNormalization", {x, scale})[0];
  for (int64_t row = 0; row < 6; ++row) {
    EXPECT_TRUE(same_bits(run_op("LayerNormalization", {x.slice(row, row + 1), scale})[0],
                          all.slice(row, row + 1)));
  }
}

TEST(Normalization, BatchInstanceGroupAndLp) {
  const Tensor x = Tensor::from({1.0F, 3.0F, 2.0F, 6.0F}, {1, 2, 2});
  const Tensor ones = Tensor::from({1.0F, 2.0F}, {2});
  const Tensor zeros = Tensor::from({0.0F, 1.0F}, {2});
  const auto batch =
      run_op("BatchNormalization", {x, ones, zeros, zeros, Tensor::from({1.0F, 4.0F}, {2})},
             {{"epsilon", 0.0F}})[0];
  EXPECT_LE(distance(batch, {1, 3, 2, 6}), 1e-6);
  const auto instance = run_op("InstanceNormalization", {x, ones, zeros}, {{"epsilon", 0.0F}})[0];
  EXPECT_LE(distance(instance, {-1, 1, -1, 3}), 1e-6);
  const auto group = run_op("GroupNormalization", {x, ones, zeros},
                            {{"num_groups", int64_t{1}}, {"epsilon", 0.0F}})[0];
  const double inverse = 1 / std::sqrt(3.5);
  EXPECT_LE(distance(group, {-2 * inverse, 0, -2 * inverse + 1, 6 * inverse + 1}), 1e-6);
  EXPECT_LE(distance(run_op("LpNormalization", {Tensor::from({3.0F, 4.0F, 0.0F, 0.0F}, {2, 2})})[0],
                     {0.6, 0.8, 0, 0}),
            1e-6);
  EXPECT_EQ(to_doubles(run_op("GlobalAveragePool", {x})[0]), (std::vector<double>{2, 4}));
  EXPECT_EQ(to_doubles(run_op("GlobalMaxPool", {x})[0]), (std::vector<double>{3, 6}));
}

TEST(Dropout, KeepsEverythingAndRefusesTraining) {
  const Tensor x = random_tensor(Dtype::f32, {4, 3}, 1);
  const auto y = run_op("Dropout", {x, Tensor::scalar(0.5F)}, {}, 2);
  EXPECT_TRUE(same_bits(y[0], x));
  EXPECT_EQ(to_doubles(y[1]), std::vector<double>(12, 1.0));
  RunOptions options;
  options.constants = true;
  EXPECT_THROW(run_op_with(options, "Dropout", {x, Tensor::scalar(0.5F), Tensor::scalar(true)}),
               Error);
}

TEST(RotaryEmbedding, TurnsHalvesOrPairs) {
  const Tensor x = Tensor::from({1.0F, 2.0F, 3.0F, 4.0F}, {1, 1, 4});
  const Tensor cos = Tensor::from({0.0F, 1.0F}, {1, 2});
  const Tensor sin = Tensor::from({1.0F, 0.0F}, {1, 2});
  const Tensor ids = Tensor::from<int64_t>({0}, {1, 1});
  EXPECT_EQ(
      to_doubles(run_op("RotaryEmbedding", {x, cos, sin, ids}, {{"num_heads", int64_t{1}}})[0]),
      (std::vector<double>{-3, 2, 1, 4}));
  EXPECT_EQ(to_doubles(run_op("RotaryEmbedding", {x, cos, sin, ids},
                              {{"num_heads", int64_t{1}}, {"interleaved", int64_t{1}}})[0]),
            (std::vector<double>{-2, 1, 3, 4}));
  EXPECT_THROW(run_op("RotaryEmbedding", {x, cos, sin, Tensor::from<int64_t>({1}, {1, 1})},
                      {{"num_heads", int64_t{1}}}),
               Error);
}

}  // namespace
}  // namespace tercel::ops
