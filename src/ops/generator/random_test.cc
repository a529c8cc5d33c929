#include <algorithm>
#include <cmath>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/ops/op_test_util.h"
#include "tercel/error.h"

namespace tercel::ops {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::Le;
using Attributes = std::vector<ir::Builder::Attr>;

constexpr int64_t kMany = 100'000;

struct Moments {
  double mean, deviation;
};
Moments moments(const std::vector<double>& values) {
  const auto count = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return {mean, std::sqrt(squares / count)};
}

std::string refusal(const std::string& op, const std::vector<Tensor>& inputs,
                    const Attributes& attributes) {
  try {
    run_op(op, inputs, attributes);
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

TEST(Random, UniformIsBetweenItsBounds) {
  const Attributes attributes{
      {"shape", std::vector<int64_t>{kMany}}, {"low", -2.0F}, {"high", 4.0F}, {"seed", 7.0F}};
  const auto values = to_doubles(run_op("RandomUniform", {}, attributes)[0]);
  EXPECT_THAT(values, Each(AllOf(Ge(-2), Le(4))));
  EXPECT_NEAR(moments(values).mean, 1, 0.03);
  EXPECT_NEAR(moments(values).deviation, 6 / std::sqrt(12), 0.03);
}

TEST(Random, NormalHasItsMoments) {
  const Attributes attributes{
      {"shape", std::vector<int64_t>{kMany}}, {"mean", 3.0F}, {"scale", 0.5F}, {"seed", 7.0F}};
  const auto values = to_doubles(run_op("RandomNormal", {}, attributes)[0]);
  EXPECT_NEAR(moments(values).mean, 3, 0.01);
  EXPECT_NEAR(moments(values).deviation, 0.5, 0.01);
}

TEST(Random, ASeedGivesTheSameNumbersAndNoneOthers) {
  const Tensor like(Dtype::i64, {3, 5});
  const Attributes f64{{"dtype", int64_t{11}}};
  for (const char* op : {"RandomUniformLike", "RandomNormalLike"}) {
    SCOPED_TRACE(op);
    const auto seeded = [&](float seed) {
      return run_op(op, {like}, {{"dtype", int64_t{11}}, {"seed", seed}})[0];
    };
    EXPECT_TRUE(same_bits(seeded(1), seeded(1)));
    EXPECT_FALSE(same_bits(seeded(1), seeded(2)));
    EXPECT_FALSE(same_bits(run_op(op, {like}, f64)[0], run_op(op, {like}, f64)[0]));
    EXPECT_EQ(seeded(1).dtype(), Dtype::f64);
    EXPECT_EQ(seeded(1).shape(), (Shape{3, 5}));
  }
}

TEST(Random, EveryTypeAndNoElements) {
  for (const Dtype dtype : {Dtype::f16, Dtype::bf16, Dtype::f32, Dtype::f64}) {
    EXPECT_EQ(run_op("RandomNormalLike", {Tensor(dtype, {4})})[0].dtype(), dtype);
    const auto values = to_doubles(run_op("RandomUniformLike", {Tensor(dtype, {99})})[0]);
    EXPECT_THAT(values, Each(AllOf(Ge(0), Le(1))));
  }
  EXPECT_EQ(run_op("RandomUniform", {}, {{"shape", std::vector<int64_t>{0, 7}}})[0].shape(),
            (Shape{0, 7}));
  EXPECT_EQ(run_op("RandomNormal", {}, {{"shape", std::vector<int64_t>{}}})[0].shape(), Shape{});
}

TEST(Random, BernoulliDrawsWithTheProbabilityOfEach) {
  const Tensor certain = Tensor::from<float>({0, 1, 0, 1}, {2, 2});
  EXPECT_THAT(to_doubles(run_op("Bernoulli", {certain})[0]), ElementsAre(0, 1, 0, 1));
  const Tensor p = from_doubles(std::vector<double>(kMany, 0.3), Dtype::f32, {kMany});
  for (const Dtype dtype : {Dtype::boolean, Dtype::i32, Dtype::f16, Dtype::f64}) {
    const Tensor drawn =
        run_op("Bernoulli", {p}, {{"dtype", static_cast<int64_t>(dtype)}, {"seed", 3.0F}})[0];
    EXPECT_EQ(drawn.dtype(), dtype);
    EXPECT_NEAR(moments(to_doubles(drawn)).mean, 0.3, 0.01);
  }
}

TEST(Random, MultinomialDrawsClassesByTheirProbability) {
  const auto minus_infinity = -std::numeric_limits<float>::infinity();
  const Tensor x = Tensor::from<float>(
      {std::log(2.0F), minus_infinity, std::log(6.0F), minus_infinity, 1000, minus_infinity},
      {2, 3});
  const Tensor drawn = run_op("Multinomial", {x}, {{"sample_size", kMany}, {"seed", 5.0F}})[0];
  ASSERT_EQ(drawn.shape(), (Shape{2, kMany}));
  const auto values = drawn.values<int32_t>();
  const auto count = [&](int64_t row, int32_t value) {
    return std::count(values.begin() + row * kMany, values.begin() + (row + 1) * kMany, value);
  };
  EXPECT_NEAR(static_cast<double>(count(0, 0)) / kMany, 0.25, 0.01);
  EXPECT_EQ(count(0, 1), 0);
  EXPECT_EQ(count(1, 1), kMany);
  EXPECT_EQ(run_op("Multinomial", {x}, {{"dtype", int64_t{7}}})[0].dtype(), Dtype::i64);
}

TEST(Random, Refuses) {
  EXPECT_THAT(refusal("RandomUniform", {}, {{"shape", std::vector<int64_t>{2, -1}}}),
              HasSubstr("shape: -1 is negative"));
  EXPECT_THAT(refusal("RandomNormal", {}, {}), HasSubstr("attribute \"shape\" is missing"));
  EXPECT_THAT(refusal("RandomNormalLike", {Tensor(Dtype::i32, {2})}, {}), HasSubstr("i32"));
  EXPECT_THAT(refusal("Bernoulli", {Tensor(Dtype::i32, {2})}, {}), HasSubstr("i32"));
  const Tensor row = Tensor::from<float>({1}, {1, 1});
  EXPECT_THAT(refusal("Multinomial", {row}, {{"sample_size", int64_t{0}}}),
              HasSubstr("sample_size is 0"));
  EXPECT_THAT(refusal("Multinomial", {Tensor(Dtype::f32, {2})}, {}), HasSubstr("rank 1"));
  EXPECT_THAT(refusal("Multinomial", {Tensor(Dtype::f32, {2, 0})}, {}), HasSubstr("no class"));
}

}  // namespace
}  // namespace tercel::ops
