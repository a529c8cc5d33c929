#include <algorithm>
#include <functional>

#include "src/kernels/cuda/test_support.h"

namespace tercel::kernels::cuda {
namespace {

using Function = std::function<double(double)>;

struct UnaryCase {
  UnaryOp op;
  Function function;
  double low = -3, high = 3;
  float alpha = 0, beta = 0;
};

double softplus(double x) { return std::log1p(std::exp(x)); }
double unit(double x) { return std::clamp(x, 0.0, 1.0); }

const std::vector<UnaryCase>& unary_cases() {
  static const std::vector<UnaryCase> cases = {
      {UnaryOp::abs, [](double x) { return std::fabs(x); }},
      {UnaryOp::neg, [](double x) { return -x; }},
      {UnaryOp::sign, [](double x) { return (x > 0) - (x < 0); }},
      {UnaryOp::relu, [](double x) { return std::max(x, 0.0); }},
      {UnaryOp::floor, [](double x) { return std::floor(x); }},
      {UnaryOp::ceil, [](double x) { return std::ceil(x); }},
      {UnaryOp::round, [](double x) { return std::nearbyint(x); }},
      {UnaryOp::sqrt, [](double x) { return std::sqrt(x); }, 0, 9},
      {UnaryOp::reciprocal, [](double x) { return 1 / x; }, 0.1, 9},
      {UnaryOp::exp, [](double x) { return std::exp(x); }},
      {UnaryOp::log, [](double x) { return std::log(x); }, 0.1, 9},
      {UnaryOp::sin, [](double x) { return std::sin(x); }},
      {UnaryOp::cos, [](double x) { return std::cos(x); }},
      {UnaryOp::tan, [](double x) { return std::tan(x); }, -1, 1},
      {UnaryOp::asin, [](double x) { return std::asin(x); }, -1, 1},
      {UnaryOp::acos, [](double x) { return std::acos(x); }, -1, 1},
      {UnaryOp::atan, [](double x) { return std::atan(x); }},
      {UnaryOp::sinh, [](double x) { return std::sinh(x); }},
      {UnaryOp::cosh, [](double x) { return std::cosh(x); }},
      {UnaryOp::asinh, [](double x) { return std::asinh(x); }},
      {UnaryOp::acosh, [](double x) { return std::acosh(x); }, 1.1, 4},
      {UnaryOp::atanh, [](double x) { return std::atanh(x); }, -0.9, 0.9},
      {UnaryOp::erf, [](double x) { return std::erf(x); }},
      {UnaryOp::tanh, [](double x) { return std::tanh(x); }},
      {UnaryOp::sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }},
      {UnaryOp::softplus, softplus},
      {UnaryOp::softsign, [](double x) { return x / (1 + std::fabs(x)); }},
      {UnaryOp::mish, [](double x) { return x * std::tanh(softplus(x)); }},
      {UnaryOp::hard_swish, [](double x) { return x * unit(x / 6 + 0.5); }},
      {UnaryOp::gelu, [](double x) { return 0.5 * x * (1 + std::erf(x * M_SQRT1_2)); }},
      {UnaryOp::gelu_tanh,
       [](double x) {
         return 0.5 * x * (1 + std::tanh(M_2_SQRTPI * M_SQRT1_2 * (x + 0.044715 * x * x * x)));
       }},
      {UnaryOp::swish, [](double x) { return x / (1 + std::exp(-1.5 * x)); }, -3, 3, 1.5F},
      {UnaryOp::leaky_relu, [](double x) { return x < 0 ? 0.25 * x : x; }, -3, 3, 0.25F},
      {UnaryOp::elu, [](double x) { return x < 0 ? 0.5 * std::expm1(x) : x; }, -3, 3, 0.5F},
      {UnaryOp::celu, [](double x) { return x < 0 ? 0.5 * std::expm1(x / 0.5) : x; }, -3, 3, 0.5F},
      {UnaryOp::selu, [](double x) { return 1.5 * (x > 0 ? x : 0.5 * std::expm1(x)); }, -3, 3, 0.5F,
       1.5F},
      {UnaryOp::hard_sigmoid, [](double x) { return unit(0.25 * x + 0.5); }, -3, 3, 0.25F, 0.5F},
      {UnaryOp::shrink, [](double x) { return x < -0.5  ? x + 0.25
                                              : x > 0.5 ? x - 0.25
                                                        : 0; }, -3,
       3, 0.5F, 0.25F},
      {UnaryOp::thresholded_relu, [](double x) { return x > 1 ? x : 0; }, -3, 3, 1.0F}};
  return cases;
}

class ElementwiseCuda : public FloatCudaTest {};
TERCEL_FLOAT_CUDA_SUITE(ElementwiseCuda);

TEST_P(ElementwiseCuda, Unary) {
  const double e = rounding(GetParam());
  for (const UnaryCase& c : unary_cases()) {
    for (const int64_t count : {0, 1, 8, 1003}) {
      const Floats x(GetParam(), random(count, c.low, c.high)), y(GetParam(), count);
      unary({c.op, GetParam(), count, x.get(), y.get(), c.alpha, c.beta}, nullptr);
      std::vector<double> expected;
      for (const double v : x.values) expected.push_back(c.function(v));
      expect_near(y.read(), expected, 2 * e + 1e-6, 1e-6,
                  "operation " + std::to_string(static_cast<int>(c.op)));
    }
  }
}

TEST_P(ElementwiseCuda, BinaryBroadcast) {
  const std::vector<std::pair<BinaryOp, std::function<double(double, double)>>> cases = {
      {BinaryOp::add, [](double a, double b) { return a + b; }},
      {BinaryOp::sub, [](double a, double b) { return a - b; }},
      {BinaryOp::mul, [](double a, double b) { return a * b; }},
      {BinaryOp::div, [](double a, double b) { return a / b; }},
      {BinaryOp::pow, [](double a, double b) { return std::pow(a, b); }},
      {BinaryOp::min, [](double a, double b) { return std::min(a, b); }},
      {BinaryOp::max, [](double a, double b) { return std::max(a, b); }},
      {BinaryOp::prelu, [](double a, double b) { return a < 0 ? a * b : a; }}};
  // Shapes of a and b as masks of the dimensions that are there; the others broadcast.
  const Extents dims{4, {3, 5, 2, 16}};
  for (const int a_mask : {15, 8, 5, 0}) {
    for (const int b_mask : {15, 8, 7, 2}) {
      for (const auto& [op, function] : cases) {
        const auto strides = [&](int mask) {
          Extents s{4};
          for (int64_t d = 3, step = 1; d >= 0; --d) {
            s.at[d] = (mask >> d & 1) != 0 ? step : 0;
            step *= (mask >> d & 1) != 0 ? dims.at[d] : 1;
          }
          return s;
        };
        const Extents sa = strides(a_mask), sb = strides(b_mask);
        const Floats a(GetParam(), random(480, 0.5, 2)), b(GetParam(), random(480, 0.5, 2));
        const Floats out(GetParam(), int64_t{480});
        binary({op, GetParam(), dims, sa, sb, a.get(), b.get(), out.get()}, nullptr);
        std::vector<double> expected;
        for (int64_t i = 0; i < 480; ++i) {
          int64_t rest = i, at = 0, bt = 0;
          for (int d = 3; d >= 0; --d) {
            at += rest % dims.at[d] * sa.at[d];
            bt += rest % dims.at[d] * sb.at[d];
            rest /= dims.at[d];
          }
          expected.push_back(function(a.values[at], b.values[bt]));
        }
        expect_near(out.read(), expected, 2 * rounding(GetParam()) + 1e-6, 1e-6);
      }
    }
  }
}

TEST_F(CudaTest, BinaryIntegersAndComparisons) {
  const int64_t count = 1001;
  const auto a = random_integers<int64_t>(count, -20, 20),
             b = random_integers<int64_t>(count, -3, 3);
  const DeviceArray da(a), db(b), out(count * 8), flags(count);
  const Extents dims{1, {count}}, ones{1, {1}};
  const auto run = [&](BinaryOp op) {
    binary({op, Dtype::i64, dims, ones, ones, da.get(), db.get(), out.get()}, nullptr);
    return out.values<int64_t>();
  };
  const auto divided = run(BinaryOp::div), modulo = run(BinaryOp::mod), powers = run(BinaryOp::pow);
  binary({BinaryOp::less, Dtype::i64, dims, ones, ones, da.get(), db.get(), flags.get()}, nullptr);
  const auto less = flags.values<uint8_t>();
  for (int64_t i = 0; i < count; ++i) {
    EXPECT_EQ(divided[i], b[i] == 0 ? 0 : a[i] / b[i]);
    const int64_t floor_mod = b[i] == 0 ? 0 : ((a[i] % b[i]) + b[i]) % b[i];
    EXPECT_EQ(modulo[i], floor_mod) << a[i] << " mod " << b[i];
    if (b[i] >= 0) {
      EXPECT_EQ(powers[i], std::llround(std::pow(a[i], b[i])));
    }
    EXPECT_EQ(less[i], a[i] < b[i]);
  }
  EXPECT_THROW(binary({BinaryOp::bit_and, Dtype::f32, dims, ones, ones}, nullptr), Error);
}

TEST_F(CudaTest, WhereClipAndCasts) {
  const int64_t count = 515;
  const auto flags = random_integers<uint8_t>(count, 0, 1);
  const auto a = random_integers<int32_t>(count, -9, 9);
  const std::vector<int32_t> zero{0}, four{4};
  const DeviceArray df(flags), da(a), dz(zero), d4(four), out(count * 4);
  const Extents dims{1, {count}}, one{1, {1}}, none{1, {0}};
  where({4, dims, one, one, none, df.get<uint8_t>(), da.get(), dz.get(), out.get()}, nullptr);
  auto result = out.values<int32_t>();
  for (int64_t i = 0; i < count; ++i) EXPECT_EQ(result[i], flags[i] != 0 ? a[i] : 0);
  clip({Dtype::i32, count, da.get(), dz.get(), d4.get(), out.get()}, nullptr);
  result = out.values<int32_t>();
  for (int64_t i = 0; i < count; ++i) EXPECT_EQ(result[i], std::clamp(a[i], 0, 4));

  std::vector<float> floats{1.5F, -2.7F, 3e20F, -3e20F, NAN, 0.0F, 1e-8F, 65504.0F, 448.0F, 500.0F};
  const auto size = static_cast<int64_t>(floats.size());
  const DeviceArray in(floats);
  const auto casted = [&](Dtype to, auto tag) {
    const DeviceArray target(size * bytes_of(to, 1));
    cast({size, in.get(), Dtype::f32, target.get(), to}, nullptr);
    return target.values<decltype(tag)>();
  };
  EXPECT_EQ(casted(Dtype::i64, int64_t{}),
            (std::vector<int64_t>{1, -2, INT64_MAX, INT64_MIN, 0, 0, 0, 65504, 448, 500}));
  EXPECT_EQ(casted(Dtype::u8, uint8_t{}),
            (std::vector<uint8_t>{1, 0, 255, 0, 0, 0, 0, 255, 255, 255}));
  EXPECT_EQ(casted(Dtype::boolean, uint8_t{}),
            (std::vector<uint8_t>{1, 1, 1, 1, 1, 0, 1, 1, 1, 1}));
  const auto halves = casted(Dtype::f16, uint16_t{});
  for (int64_t i = 0; i < size; ++i)
    if (!std::isnan(floats[i])) {
      EXPECT_EQ(halves[i], to_f16(floats[i]).bits);
    }
  const auto small = casted(Dtype::f8e4m3fn, uint8_t{});
  EXPECT_EQ(small[0], 0x3c);  // 1.5
  EXPECT_EQ(small[9], 0x7e);  // 448: saturated
  const std::vector<int64_t> whole{0, 1, -1, int64_t{1} << 40};
  const DeviceArray wide(whole), target(4 * 4);
  cast({4, wide.get(), Dtype::i64, target.get(), Dtype::f32}, nullptr);
  EXPECT_EQ(target.values<float>(), (std::vector<float>{0, 1, -1, 1099511627776.0F}));
}

TEST_F(CudaTest, CastsThatKeepFiniteNumbersFinite) {
  const std::vector<float> given{1.5F, 1e30F, -3.4028235e38F, -70000.0F, INFINITY, -INFINITY, NAN};
  for (const std::size_t count : {given.size(), std::size_t{70}}) {  // with packs of elements, too
    std::vector<float> values;
    for (std::size_t i = 0; i < count; ++i) values.push_back(given[i % given.size()]);
    const auto size = static_cast<int64_t>(count);
    const DeviceArray in(values), out(count * 2);
    cast({.count = size, .from = in.get(), .to = out.get(), .to_type = Dtype::f16, .finite = true},
         nullptr);
    const auto halves = out.values<uint16_t>();
    cast({.count = size, .from = in.get(), .to = out.get(), .to_type = Dtype::bf16, .finite = true},
         nullptr);
    const auto shorts = out.values<uint16_t>();
    for (std::size_t i = 0; i < count; ++i) {
      const float half = to_float(f16{halves[i]}), brief = to_float(bf16{shorts[i]});
      const float x = values[i];
      if (std::isnan(x)) {
        EXPECT_TRUE(std::isnan(half) && std::isnan(brief)) << i;
        continue;
      }
      EXPECT_EQ(half, std::isinf(x) ? x : std::clamp(x, -65504.0F, 65504.0F)) << i;
      EXPECT_EQ(std::isinf(brief), std::isinf(x)) << i;
      EXPECT_NEAR(std::isinf(x) ? 1.0F : brief / x, 1.0F, 0.005F) << i;
    }
  }
}

TEST_P(ElementwiseCuda, BiasActivationAndGates) {
  for (const int64_t columns : {64, 33}) {
    const int64_t rows = 50, stride = 2 * columns;
    const Floats x(GetParam(), random(rows * stride)), bias(GetParam(), random(columns));
    const Floats residual(GetParam(), random(rows * columns)), y(GetParam(), rows * columns);
    bias_activation({GetParam(),
                     rows,
                     columns,
                     x.get(),
                     stride,
                     y.get(),
                     columns,
                     {bias.get(), Activation::gelu, residual.get(), columns}},
                    nullptr);
    std::vector<double> expected, gated;
    const auto silu = [](double v) { return v / (1 + std::exp(-v)); };
    for (int64_t i = 0; i < rows * columns; ++i) {
      const int64_t at = i / columns * stride + i % columns;
      const double v = x.values[at] + bias.values[i % columns];
      expected.push_back(0.5 * v * (1 + std::erf(v * M_SQRT1_2)) + residual.values[i]);
      gated.push_back(silu(x.values[at]) * x.values[at + columns]);
    }
    // GELU of 16 bits is off by up to 1.4e-5, of which the residual may leave nothing else.
    const double gelu = GetParam() == Dtype::f32 ? 1e-6 : 1.5e-5;
    expect_near(y.read(), expected, 2 * rounding(GetParam()), gelu);
    const std::size_t element = bytes_of(GetParam(), 1);
    gated_activation({GetParam(), Activation::silu, rows, columns, x.get(), stride,
                      x.get<char>() + columns * element, stride, y.get()},
                     nullptr);
    expect_near(y.read(), gated, 2 * rounding(GetParam()), 1e-6);
  }
}

}  // namespace
}  // namespace tercel::kernels::cuda
