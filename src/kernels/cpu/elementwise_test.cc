#include "src/kernels/cpu/elementwise.h"

#include <algorithm>
#include <bit>
#include <functional>

#include "src/kernels/cpu/test_support.h"

namespace tercel::kernels {
namespace {

class Elementwise : public PerIsa {
 protected:
  std::vector<float> apply(UnaryOp op, const std::vector<float>& x, float alpha = 0,
                           float beta = 0) {
    std::vector<float> y(x.size());
    kernels_.elementwise.unary({.op = op,
                                .count = static_cast<int64_t>(x.size()),
                                .x = x.data(),
                                .y = y.data(),
                                .alpha = alpha,
                                .beta = beta},
                               three_);
    return y;
  }
};

// Distance from the exact value in units of the last place of the f32 nearest to it.
double ulps(float value, double exact) {
  const auto nearest = static_cast<float>(exact);
  if (std::isnan(exact) || std::isnan(value)) {
    return std::isnan(exact) && std::isnan(value) ? 0 : kInfinity;
  }
  if (std::isinf(nearest) || std::isinf(value)) {
    return nearest == value || std::abs(exact) > 3.4028e38 ? 0 : kInfinity;
  }
  const int exponent = nearest == 0 ? -149 : std::max(std::ilogb(nearest) - 23, -149);
  return std::abs(value - exact) / std::ldexp(1.0, exponent);
}

std::vector<float> all_magnitudes(std::mt19937& random) {
  std::vector<float> x{0.0F,    -0.0F,   kInfinity, -kInfinity, kNan,   1e-45F,
                       -1e-45F, 1e-39F,  88.72F,    88.73F,     -87.4F, -103.9F,
                       -104.1F, 3.4e38F, -3.4e38F,  1.0F,       -1.0F};
  for (int i = 0; i < 100000; ++i)
    x.push_back(std::bit_cast<float>(static_cast<uint32_t>(random())));
  for (const float limit : {0.1F, 1.5F, 6.0F, 30.0F, 110.0F}) {
    const auto more = random_floats(random, 60000, -limit, limit);
    x.insert(x.end(), more.begin(), more.end());
  }
  return x;
}

TEST_P(Elementwise, ElementaryFunctionsAreAsExactAsStated) {
  struct Function {
    const char* name;
    UnaryOp op;
    std::function<double(double)> exact;
  };
  const Function functions[] = {
      {"exp", UnaryOp::exp, [](double x) { return std::exp(x); }},
      {"log", UnaryOp::log, [](double x) { return std::log(x); }},
      {"erf", UnaryOp::erf, [](double x) { return std::erf(x); }},
      {"tanh", UnaryOp::tanh, [](double x) { return std::tanh(x); }},
      {"sigmoid", UnaryOp::sigmoid,
       [](double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }},
      {"softplus", UnaryOp::softplus,
       [](double x) {
         return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))) + (x - x) * 0;
       }},
      {"sin", UnaryOp::sin, [](double x) { return std::sin(x); }},
      {"cos", UnaryOp::cos, [](double x) { return std::cos(x); }},
      {"sqrt", UnaryOp::sqrt, [](double x) { return std::sqrt(x); }},
      {"reciprocal", UnaryOp::reciprocal, [](double x) { return 1 / x; }}};
  const auto x = all_magnitudes(random_);
  for (const auto& [name, op, exact] : functions) {
    const auto y = apply(op, x);
    double worst = 0;
    float where = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double softplus_of_infinity = op == UnaryOp::softplus && std::isinf(x[i]);
      const double expected = softplus_of_infinity ? std::max(x[i], 0.0F) : exact(x[i]);
      const double distance = ulps(y[i], expected);
      if (distance > worst) {
        worst = distance;
        where = x[i];
      }
    }
    EXPECT_LE(worst, op == UnaryOp::sigmoid ? 3 : 2) << name << " of " << where;
    RecordProperty(std::string(name) + "_ulps_x100", static_cast<int>(worst * 100));
  }
}

TEST_P(Elementwise, ComposedActivationsFollowTheirFormulas) {
  const auto x = random_floats(random_, 5001, -12, 12);
  struct Function {
    UnaryOp op;
    std::function<double(double)> exact;
  };
  const Function functions[] = {
      {UnaryOp::gelu, [](double v) { return 0.5 * v * (1 + std::erf(v / std::sqrt(2.0))); }},
      {UnaryOp::gelu_tanh,
       [](double v) {
         return 0.5 * v * (1 + std::tanh(std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v)));
       }},
      {UnaryOp::silu, [](double v) { return v / (1 + std::exp(-v)); }},
      {UnaryOp::elu, [](double v) { return v < 0 ? 0.5 * (std::exp(v) - 1) : v; }},
      {UnaryOp::leaky_relu, [](double v) { return v < 0 ? 0.5 * v : v; }},
      {UnaryOp::hard_sigmoid, [](double v) { return std::clamp(0.5 * v + 0.25, 0.0, 1.0); }}};
  for (const auto& [op, exact] : functions) {
    const auto y = apply(op, x, 0.5F, 0.25F);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double bound =
          op == UnaryOp::gelu ? 2.5e-7 * std::abs(x[i]) + 1e-45 : 3e-7 * (1 + std::abs(x[i]));
      ASSERT_NEAR(y[i], exact(x[i]), bound) << static_cast<int>(op) << " of " << x[i];
    }
  }
}

TEST_P(Elementwise, SimpleFunctionsAreExact) {
  const std::vector<float> x{-2.5F,     -1.5F,       -0.5F,      -0.0F, 0.0F,
                             0.5F,      1.5F,        2.5F,       1e10F, -kInfinity,
                             kInfinity, 0.49999997F, 8388609.0F, -7.9F, 7.1F};
  const auto check = [&](UnaryOp op, auto expected, float alpha = 0, float beta = 0) {
    const auto y = apply(op, x, alpha, beta);
    for (std::size_t i = 0; i < x.size(); ++i) EXPECT_EQ(y[i], expected(x[i])) << x[i];
    EXPECT_TRUE(std::isnan(apply(op, {kNan}, alpha, beta)[0])) << static_cast<int>(op);
  };
  check(UnaryOp::abs, [](float v) { return std::abs(v); });
  check(UnaryOp::neg, [](float v) { return -v; });
  check(UnaryOp::sign, [](float v) { return v > 0 ? 1.0F : v < 0 ? -1.0F : 0.0F; });
  check(UnaryOp::floor, [](float v) { return std::floor(v); });
  check(UnaryOp::ceil, [](float v) { return std::ceil(v); });
  check(UnaryOp::round, [](float v) { return std::nearbyint(v); });
  check(UnaryOp::relu, [](float v) { return v > 0 ? v : 0.0F; });
  check(
      UnaryOp::clip, [](float v) { return std::clamp(v, -1.0F, 2.0F); }, -1.0F, 2.0F);
}

TEST_P(Elementwise, SaturatesAtInfinity) {
  EXPECT_EQ(apply(UnaryOp::exp, {-kInfinity, kInfinity}), (std::vector<float>{0, kInfinity}));
  EXPECT_EQ(apply(UnaryOp::tanh, {-kInfinity, kInfinity}), (std::vector<float>{-1, 1}));
  EXPECT_EQ(apply(UnaryOp::erf, {-kInfinity, kInfinity, 5}), (std::vector<float>{-1, 1, 1}));
  EXPECT_EQ(apply(UnaryOp::sigmoid, {-kInfinity, kInfinity}), (std::vector<float>{0, 1}));
  EXPECT_EQ(apply(UnaryOp::gelu, {-kInfinity, -1e30F, kInfinity}),
            (std::vector<float>{0, 0, kInfinity}));
}

TEST_P(Elementwise, BinaryOperandsBroadcast) {
  const std::pair<BinaryOp, std::function<float(float, float)>> operations[] = {
      {BinaryOp::add, [](float a, float b) { return a + b; }},
      {BinaryOp::sub, [](float a, float b) { return a - b; }},
      {BinaryOp::mul, [](float a, float b) { return a * b; }},
      {BinaryOp::div, [](float a, float b) { return a / b; }},
      {BinaryOp::pow, [](float a, float b) { return std::pow(a, b); }},
      {BinaryOp::min, [](float a, float b) { return std::min(a, b); }},
      {BinaryOp::max, [](float a, float b) { return std::max(a, b); }}};
  for (const auto& [rows, columns] :
       {std::pair<int64_t, int64_t>{3, 37}, {1, 9001}, {50, 1}, {300, 100}, {0, 5}, {5, 0}}) {
    const auto a = random_floats(random_, rows * columns + 1, 0.1F, 2);
    const auto b = random_floats(random_, rows * columns + 1, 0.1F, 2);
    const std::pair<int64_t, int64_t> strides[] = {{columns, 1}, {0, 1}, {1, 0}, {0, 0}};
    for (const auto& [op, exact] : operations) {
      for (const auto& [a_row, a_column] : strides) {
        for (const auto& [b_row, b_column] : strides) {
          std::vector<float> out(rows * columns, kNan);
          kernels_.elementwise.binary({.op = op,
                                       .rows = rows,
                                       .columns = columns,
                                       .a = a.data(),
                                       .a_row = a_row,
                                       .a_column = a_column,
                                       .b = b.data(),
                                       .b_row = b_row,
                                       .b_column = b_column,
                                       .out = out.data()},
                                      three_);
          for (int64_t r = 0; r < rows; ++r) {
            for (int64_t c = 0; c < columns; ++c) {
              ASSERT_EQ(out[r * columns + c],
                        exact(a[r * a_row + c * a_column], b[r * b_row + c * b_column]));
            }
          }
        }
      }
    }
  }
}

TEST_P(Elementwise, MinAndMaxKeepNan) {
  const std::vector<float> a{kNan, 1, kNan, -kInfinity};
  const std::vector<float> b{1, kNan, kNan, 2};
  for (const BinaryOp op : {BinaryOp::min, BinaryOp::max}) {
    std::vector<float> out(4);
    kernels_.elementwise.binary(
        {.op = op, .rows = 1, .columns = 4, .a = a.data(), .b = b.data(), .out = out.data()}, one_);
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(std::isnan(out[i]));
    EXPECT_EQ(out[3], op == BinaryOp::min ? -kInfinity : 2);
  }
}

TEST_P(Elementwise, CommonPowersKeepTheEdgesOfPow) {
  for (const float exponent : {0.5F, 1.0F, 2.0F, 3.0F}) {
    const std::vector<float> x{-kInfinity, kInfinity, -0.0F, 0.0F, 4.0F, -4.0F, kNan};
    std::vector<float> out(x.size());
    kernels_.elementwise.binary({.op = BinaryOp::pow,
                                 .rows = 1,
                                 .columns = static_cast<int64_t>(x.size()),
                                 .a = x.data(),
                                 .b = &exponent,
                                 .b_column = 0,
                                 .out = out.data()},
                                one_);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const float expected = std::pow(x[i], exponent);
      EXPECT_TRUE(out[i] == expected || (std::isnan(out[i]) && std::isnan(expected)))
          << x[i] << " to the " << exponent;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cpu, Elementwise, testing::ValuesIn(vector_isas()), isa_name);

}  // namespace
}  // namespace tercel::kernels
