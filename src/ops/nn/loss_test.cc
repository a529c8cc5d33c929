// Losses, and the rarer layers: Col2Im, DeformConv, MeanVarianceNormalization, LinearAttention,
// CausalConvWithState.
#include <cmath>

#include <gtest/gtest.h>

#include "src/ops/op_test_util.h"

namespace tercel::ops {
namespace {

using Ints = std::vector<int64_t>;

TEST(Loss, Literals) {
  const Tensor x = Tensor::from({-1.0F, -2.0F, -3.0F, -4.0F}, {2, 2});
  const Tensor target = Tensor::from<int64_t>({0, 1}, {2});
  const auto run = [&](const std::string& reduction, std::vector<Tensor> inputs) {
    return to_doubles(run_op("NegativeLogLikelihoodLoss", inputs, {{"reduction", reduction}})[0]);
  };
  EXPECT_EQ(run("none", {x, target}), (std::vector<double>{1, 4}));
  EXPECT_EQ(run("mean", {x, target}), std::vector<double>{2.5});
  const Tensor weight = Tensor::from({1.0F, 3.0F}, {2});
  EXPECT_EQ(run("mean", {x, target, weight}), std::vector<double>{13.0 / 4});
  const auto ignored =
      run_op("NegativeLogLikelihoodLoss", {x, target}, {{"ignore_index", int64_t{1}}})[0];
  EXPECT_EQ(to_doubles(ignored), std::vector<double>{1});
  EXPECT_THROW(run("none", {x, Tensor::from<int64_t>({0, 2}, {2})}), Error);
  EXPECT_THROW(run("most", {x, target}), Error);
  const auto both = run_op("SoftmaxCrossEntropyLoss", {x, target}, {}, 2);
  EXPECT_NEAR(to_doubles(both[0])[0], (std::log1p(std::exp(-1)) + std::log1p(std::exp(1))) / 2,
              1e-6);
  EXPECT_LE(distance(both[1], to_doubles(run_op("LogSoftmax", {x})[0])), 1e-6);
}

TEST(Layers, BlocksAddUpToTheImage) {
  RunOptions options;
  options.constant = {1, 2};
  const Tensor blocks = Tensor::from({1.0F, 2.0F, 3.0F, 10.0F, 20.0F, 30.0F}, {1, 2, 3});
  const Tensor image = Tensor::from<int64_t>({4}, {1});
  const Tensor block = Tensor::from<int64_t>({2}, {1});
  EXPECT_EQ(to_doubles(run_op_with(options, "Col2Im", {blocks, image, block}).outputs[0]),
            (std::vector<double>{1, 12, 23, 30}));
  EXPECT_THROW(run_op_with(options, "Col2Im", {blocks, Tensor::from<int64_t>({5}, {1}), block}),
               Error);
}

TEST(Layers, DeformConvWithoutOffsetsIsConv) {
  const Tensor x = random_tensor(Dtype::f32, {2, 4, 6, 7}, 1);
  const Tensor w = random_tensor(Dtype::f32, {6, 2, 3, 2}, 2);
  const Tensor b = random_tensor(Dtype::f32, {6}, 3);
  const std::vector<ir::Builder::Attr> attributes{
      {"group", int64_t{2}}, {"pads", Ints{1, 0, 1, 1}}, {"strides", Ints{2, 1}}};
  const Tensor expected = run_op("Conv", {x, w, b}, attributes)[0];
  Tensor offsets = from_doubles(std::vector<double>(2 * 12 * 3 * 7, 0), Dtype::f32, {2, 12, 3, 7});
  EXPECT_LE(distance(run_op("DeformConv", {x, w, offsets, b}, attributes)[0], to_doubles(expected)),
            1e-5);
  EXPECT_THROW(run_op("DeformConv", {x, w, expected, b}, attributes), Error);
}

TEST(Layers, MeanAndVarianceAreTakenOut) {
  const Tensor x = random_tensor(Dtype::f32, {3, 2, 5, 4}, 1);
  const auto y = to_doubles(run_op("MeanVarianceNormalization", {x})[0]);
  for (std::size_t c = 0; c < 2; ++c) {
    double sum = 0;
    double squares = 0;
    for (std::size_t i = 0; i < y.size(); ++i) {
      if (i / 20 % 2 != c) continue;
      sum += y[i];
      squares += y[i] * y[i];
    }
    EXPECT_NEAR(sum, 0, 1e-4);
    EXPECT_NEAR(squares / 60, 1, 1e-4);
  }
}

TEST(Layers, StateCarriesOver) {
  // A sequence in two pieces gives what it gives whole.
  const Tensor x = random_tensor(Dtype::f32, {1, 3, 8}, 1);
  const Tensor w = random_tensor(Dtype::f32, {3, 1, 4}, 2);
  const auto whole = run_op("CausalConvWithState", {x, w}, {}, 2);
  const auto piece = [&](int64_t begin, int64_t end) {
    const auto values = to_doubles(x);
    std::vector<double> some;
    for (int64_t c = 0; c < 3; ++c)
      some.insert(some.end(), values.begin() + c * 8 + begin, values.begin() + c * 8 + end);
    return from_doubles(some, Dtype::f32, {1, 3, end - begin});
  };
  const auto first = run_op("CausalConvWithState", {piece(0, 2), w}, {}, 2);
  const auto second = run_op("CausalConvWithState", {piece(2, 8), w, Tensor(), first[1]}, {}, 2);
  EXPECT_TRUE(same_bits(second[1], whole[1]));
  for (std::size_t c = 0; c < 3; ++c) {
    EXPECT_EQ(second[0].values<float>()[c * 6 + 5], whole[0].values<float>()[c * 8 + 7]);
    EXPECT_EQ(first[0].values<float>()[c * 2 + 1], whole[0].values<float>()[c * 8 + 1]);
  }
}

TEST(Layers, LinearAttentionSumsKeysAndValues) {
  const Tensor q = Tensor::from({1.0F, 2.0F, 1.0F, 1.0F}, {1, 2, 2});
  const Tensor k = Tensor::from({1.0F, 0.0F, 0.0F, 1.0F}, {1, 2, 2});
  const Tensor v = Tensor::from({3.0F, 5.0F}, {1, 2, 1});
  const std::vector<ir::Builder::Attr> attributes{{"q_num_heads", int64_t{1}},
                                                  {"kv_num_heads", int64_t{1}},
                                                  {"scale", 1.0F},
                                                  {"update_rule", std::string("linear")}};
  const auto y = run_op("LinearAttention", {q, k, v}, attributes, 2);
  EXPECT_EQ(to_doubles(y[0]), (std::vector<double>{3, 8}));
  EXPECT_EQ(to_doubles(y[1]), (std::vector<double>{3, 5}));
  EXPECT_THROW(run_op("LinearAttention", {q, k, v},
                      {{"q_num_heads", int64_t{1}}, {"kv_num_heads", int64_t{1}}}),
               Error);
}

}  // namespace
}  // namespace tercel::ops
