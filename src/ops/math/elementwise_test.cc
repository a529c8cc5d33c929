#include <cmath>
#include <functional>
#include <limits>

#include <gtest/gtest.h>

#include "src/ops/op_test_util.h"

namespace tercel::ops {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

double elementwise_tolerance(Dtype dtype) {
  if (dtype == Dtype::f64) return 1e-12;
  if (dtype == Dtype::f32) return 1e-6;
  return dtype == Dtype::f16 ? 2e-3 : 1.6e-2;
}

// [row % rows, …] of the shape that a and b broadcast to, in f64.
std::vector<double> broadcast_oracle(const Tensor& a, const Tensor& b, const Shape& out,
                                     const std::function<double(double, double)>& f) {
  const auto x = to_doubles(a);
  const auto y = to_doubles(b);
  const auto at = [&](const Shape& shape, int64_t index) {
    int64_t offset = 0;
    int64_t stride = 1;
    for (std::size_t back = 0; back < out.size(); ++back) {
      const int64_t size = out[out.size() - 1 - back];
      if (back < shape.size()) {
        const int64_t own = shape[shape.size() - 1 - back];
        if (own != 1) offset += index % size * stride;
        stride *= own;
      }
      index /= size;
    }
    return static_cast<std::size_t>(offset);
  };
  std::vector<double> result;
  for (int64_t i = 0; i < element_count(out); ++i)
    result.push_back(f(x[at(a.shape(), i)], y[at(b.shape(), i)]));
  return result;
}

TEST(Elementwise, AddsLiterals) {
  const auto sum = run_op("Add", {Tensor::from({1.0F, 2.0F, 3.0F, 4.0F}, {2, 2}),
                                  Tensor::from({10.0F, 20.0F}, {2})})[0];
  EXPECT_EQ(to_doubles(sum), (std::vector<double>{11, 22, 13, 24}));
}

TEST(Elementwise, IntegersDivideTowardsZeroAndSurviveZero) {
  const auto quotient = run_op("Div", {Tensor::from<int32_t>({7, -7, 5, INT32_MIN}, {4}),
                                       Tensor::from<int32_t>({2, 2, 0, -1}, {4})})[0];
  EXPECT_EQ(to_doubles(quotient), (std::vector<double>{3, -3, 0, -2147483648.0}));
}

TEST(Elementwise, ModTakesTheSignOfTheDivisorOrOfTheDividend) {
  const Tensor a = Tensor::from<int64_t>({-4, 7, 5, 4, -7, 8}, {6});
  const Tensor b = Tensor::from<int64_t>({2, -3, 8, -2, 3, 5}, {6});
  EXPECT_EQ(to_doubles(run_op("Mod", {a, b})[0]), (std::vector<double>{0, -2, 5, 0, 2, 3}));
  EXPECT_EQ(to_doubles(run_op("Mod", {a, b}, {{"fmod", int64_t{1}}})[0]),
            (std::vector<double>{0, 1, 5, 0, -1, 3}));
}

TEST(Elementwise, BroadcastsEveryType) {
  const std::pair<Shape, Shape> shapes[] = {
      {{3, 5}, {5}},       {{2, 3, 4}, {3, 1}}, {{4, 1, 3}, {2, 1}}, {{}, {7}},
      {{1, 1}, {1}},       {{0, 3}, {3}},       {{5, 1}, {1, 6}},    {{3, 1, 4, 1}, {1, 2, 1, 5}},
      {{37, 129}, {37, 1}}};
  uint32_t seed = 1;
  for (const Dtype dtype : {Dtype::f32, Dtype::f64, Dtype::f16, Dtype::bf16, Dtype::i8, Dtype::i16,
                            Dtype::i32, Dtype::i64, Dtype::u8, Dtype::u64}) {
    for (const auto& [left, right] : shapes) {
      const Tensor a = random_tensor(dtype, left, seed++);
      const Tensor b = random_tensor(dtype, right, seed++);
      for (const bool in_place : {false, true}) {
        RunOptions options;
        options.in_place = in_place;
        const Tensor product = run_op_with(options, "Mul", {a, b}).outputs[0];
        const auto expected =
            broadcast_oracle(a, b, product.shape(), [](double x, double y) { return x * y; });
        EXPECT_LE(distance(product, expected), elementwise_tolerance(dtype))
            << to_string(dtype) << ' ' << to_string(left) << ' ' << to_string(right);
      }
    }
  }
}

TEST(Elementwise, UnaryFunctionsFollowTheirFormulas) {
  const std::pair<const char*, double (*)(double)> functions[] = {
      {"Abs", [](double x) { return std::abs(x); }},
      {"Neg", [](double x) { return -x; }},
      {"Exp", [](double x) { return std::exp(x); }},
      {"Erf", [](double x) { return std::erf(x); }},
      {"Tanh", [](double x) { return std::tanh(x); }},
      {"Sigmoid", [](double x) { return 1 / (1 + std::exp(-x)); }},
      {"Relu", [](double x) { return std::max(x, 0.0); }},
      {"LeakyRelu", [](double x) { return x < 0 ? double{0.01F} * x : x; }},
      {"Elu", [](double x) { return x < 0 ? std::exp(x) - 1 : x; }},
      {"Celu", [](double x) { return std::max(x, 0.0) + std::min(0.0, std::exp(x) - 1); }},
      {"Selu",
       [](double x) {
         return double{1.05070102F} * (x > 0 ? x : double{1.67326319F} * (std::exp(x) - 1));
       }},
      {"Softplus", [](double x) { return std::log(1 + std::exp(x)); }},
      {"Softsign", [](double x) { return x / (1 + std::abs(x)); }},
      {"Mish", [](double x) { return x * std::tanh(std::log(1 + std::exp(x))); }},
      {"Swish", [](double x) { return x / (1 + std::exp(-x)); }},
      {"HardSwish", [](double x) { return x * std::max(0.0, std::min(1.0, x / 6 + 0.5)); }},
      {"HardSigmoid",
       [](double x) { return std::max(0.0, std::min(1.0, double{0.2F} * x + 0.5)); }},
      {"ThresholdedRelu", [](double x) { return x > 1 ? x : 0; }},
      {"Gelu", [](double x) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))); }},
      {"Sin", [](double x) { return std::sin(x); }},
      {"Tan", [](double x) { return std::tan(x); }},
      {"Atan", [](double x) { return std::atan(x); }},
      {"Asinh", [](double x) { return std::asinh(x); }},
      {"Floor", [](double x) { return std::floor(x); }},
      {"Round", [](double x) { return std::nearbyint(x); }},
      {"Sign", [](double x) { return x > 0   ? 1.0
                                     : x < 0 ? -1.0
                                             : 0.0; }}};
  for (const Dtype dtype : {Dtype::f32, Dtype::f64, Dtype::f16, Dtype::bf16}) {
    const Tensor x = random_tensor(dtype, {3, 1371}, 7);
    for (const auto& [name, function] : functions) {
      std::vector<double> expected;
      for (const double value : to_doubles(x)) expected.push_back(function(value));
      EXPECT_LE(distance(run_op(name, {x})[0], expected), elementwise_tolerance(dtype))
          << name << ' ' << to_string(dtype);
    }
  }
}

TEST(Elementwise, GeluTanhAndNan) {
  const Tensor x = Tensor::from({-1.0F, 0.0F, 2.0F, kNan}, {4});
  const auto y = to_doubles(run_op("Gelu", {x}, {{"approximate", std::string("tanh")}})[0]);
  EXPECT_NEAR(y[0], -0.158808, 1e-5);
  EXPECT_NEAR(y[2], 1.954598, 1e-5);
  EXPECT_TRUE(std::isnan(y[3]));
  EXPECT_THROW(run_op("Gelu", {x}, {{"approximate", std::string("fast")}}), Error);
}

TEST(Elementwise, PowTakesAnotherTypeOfExponent) {
  const Tensor x = Tensor::from({1.0F, 2.0F, 3.0F}, {3});
  EXPECT_EQ(to_doubles(run_op("Pow", {x, Tensor::scalar(2.0F)})[0]),
            (std::vector<double>{1, 4, 9}));
  EXPECT_EQ(to_doubles(run_op("Pow", {x, Tensor::from<int64_t>({3, 2, 1}, {3})})[0]),
            (std::vector<double>{1, 4, 3}));
  EXPECT_EQ(to_doubles(run_op("Pow", {Tensor::from<int64_t>({-2, 3}, {2}),
                                      Tensor::from<int64_t>({3, 2}, {2})})[0]),
            (std::vector<double>{-8, 9}));
}

TEST(Elementwise, VariadicFoldsFromTheLeft) {
  const Tensor a = Tensor::from({1.0F, 5.0F, kNan}, {3});
  const Tensor b = Tensor::from({3.0F, 2.0F, 1.0F}, {3});
  const Tensor c = Tensor::from({-1.0F}, {1});
  const auto max = to_doubles(run_op("Max", {a, b, c})[0]);
  EXPECT_EQ(max[0], 3);
  EXPECT_EQ(max[1], 5);
  EXPECT_TRUE(std::isnan(max[2]));
  EXPECT_EQ(to_doubles(run_op("Sum", {b, c, c})[0]), (std::vector<double>{1, 0, -1}));
  EXPECT_EQ(to_doubles(run_op("Mean", {b, c})[0]), (std::vector<double>{1, 0.5, 0}));
  EXPECT_EQ(to_doubles(run_op(
                "Min", {Tensor::from<int32_t>({4, 1}, {2}), Tensor::from<int32_t>({2}, {1})})[0]),
            (std::vector<double>{2, 1}));
}

TEST(Elementwise, ClipsWithMissingBounds) {
  const Tensor x = Tensor::from({-3.0F, 0.5F, kInf}, {3});
  EXPECT_EQ(to_doubles(run_op("Clip", {x, Tensor::scalar(-1.0F), Tensor::scalar(1.0F)})[0]),
            (std::vector<double>{-1, 0.5, 1}));
  EXPECT_EQ(to_doubles(run_op("Clip", {x, Tensor(), Tensor::scalar(0.0F)})[0]),
            (std::vector<double>{-3, 0, 0}));
  EXPECT_EQ(to_doubles(run_op("Clip",
                              {Tensor::from<uint8_t>({1, 9}, {2}), Tensor::scalar<uint8_t>(3)})[0]),
            (std::vector<double>{3, 9}));
}

TEST(Elementwise, CumSumAndTopK) {
  const Tensor x = Tensor::from({1.0F, 2.0F, 3.0F, 4.0F, 5.0F, 6.0F}, {2, 3});
  const Tensor axis = Tensor::scalar<int64_t>(-1);
  EXPECT_EQ(to_doubles(run_op("CumSum", {x, axis})[0]), (std::vector<double>{1, 3, 6, 4, 9, 15}));
  EXPECT_EQ(to_doubles(run_op("CumSum", {x, axis},
                              {{"exclusive", int64_t{1}}, {"reverse", int64_t{1}}})[0]),
            (std::vector<double>{5, 3, 0, 11, 6, 0}));
  const auto top =
      run_op("TopK", {Tensor::from({3.0F, 1.0F, 3.0F, 2.0F}, {4}), Tensor::from<int64_t>({3}, {1})},
             {}, 2);
  EXPECT_EQ(to_doubles(top[0]), (std::vector<double>{3, 3, 2}));
  EXPECT_EQ(to_doubles(top[1]), (std::vector<double>{0, 2, 3}));
}

TEST(Elementwise, ShiftsBits) {
  EXPECT_EQ(to_doubles(run_op(
                "BitShift",
                {Tensor::from<int8_t>({-8, 1, 64}, {3}), Tensor::from<int8_t>({1, 9, 1}, {3})},
                {{"direction", std::string("RIGHT")}})[0]),
            (std::vector<double>{-4, 0, 32}));
}

TEST(Elementwise, RejectsShapesThatClash) {
  EXPECT_THROW(
      run_op("Add", {Tensor::from({1.0F, 2.0F}, {2}), Tensor::from({1.0F, 2.0F, 3.0F}, {3})}),
      Error);
  EXPECT_THROW(run_op("Add", {Tensor::scalar(1.0F), Tensor::scalar<int64_t>(1)}), Error);
  EXPECT_THROW(run_op("Sqrt", {Tensor::scalar<int64_t>(1)}), Error);
}

TEST(Elementwise, ShapeArithmeticKeepsItsSymbols) {
  ir::Model model;
  ir::Builder builder(model.graph);
  ir::Value* x = model.graph.add_input("x", ir::Type::tensor(Dtype::i64, {ir::Dim(1)}));
  ir::Value* doubled = builder.mul(x, builder.ints({2}));
  ir::Value* back = builder.sub(builder.add(doubled, builder.ints({5})), builder.ints({5}));
  Facts facts;
  facts.set_type(x, x->type);
  facts.set_contents(x, {Known(ir::Dim("n"))});
  for (const ir::Value* leaf : model.graph.initializers()) {
    facts.set_type(leaf, ir::Type::tensor(Dtype::i64, {ir::Dim(1)}));
    facts.set_contents(leaf, {Known(leaf->initializer().values<int64_t>()[0])});
  }
  for (const auto& node : model.graph.nodes()) infer_node(*node, facts, &model);
  ASSERT_NE(facts.contents(doubled), nullptr);
  EXPECT_EQ(facts.contents(doubled)->front().symbol(), "2*n");
  ASSERT_NE(facts.contents(back), nullptr);
  EXPECT_FALSE(facts.contents(back)->front().is_number());
}

}  // namespace
}  // namespace tercel::ops
