#include "src/kernels/cpu/gemm_bf16.h"

#include "src/base/half.h"
#include "src/kernels/cpu/test_support.h"
#include "tercel/error.h"

namespace tercel::kernels {
namespace {

// On machines that do not multiply bf16 there is nothing to test.
class GemmBf16 : public testing::TestWithParam<CpuIsa> {
 protected:
  const GemmBf16Kernels& kernels_ = *gemm_bf16_kernels(GetParam());
  std::mt19937 random_{20250301};
  ThreadPool one_{1};
  ThreadPool two_{2};
  ThreadPool three_{3};
};

std::vector<float> rounded(std::vector<float> values) {
  for (float& value : values) value = to_float(to_bf16(value));
  return values;
}
std::vector<bf16> narrowed(const std::vector<float>& values) {
  std::vector<bf16> half;
  for (const float value : values) half.push_back(to_bf16(value));
  return half;
}

double gelu(double x) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))); }

// c against sums in f64 of the factors rounded to bf16.
void expect_near_oracle(const GemmBf16Args& args, const std::vector<float>& a,
                        const std::vector<float>& b, int64_t k_stride, int64_t n_stride,
                        double relative) {
  const auto& e = args.epilogue;
  for (int64_t i = 0; i < args.m; ++i) {
    for (int64_t j = 0; j < args.n; ++j) {
      double sum = 0;
      double size = 1;
      for (int64_t k = 0; k < args.k; ++k) {
        const double product = static_cast<double>(a[i * args.a_row + k * args.a_column]) *
                               b[k * k_stride + j * n_stride];
        sum += product;
        size += std::abs(product);
      }
      if (e.bias != nullptr) sum += e.bias[j];
      if (e.activation == Activation::gelu) sum = gelu(sum);
      if (e.residual != nullptr) sum += e.residual[i * e.residual_stride + j];
      const int64_t at = i * args.c_row + j;
      const double got = args.c_type == Dtype::f32 ? static_cast<const float*>(args.c)[at]
                                                   : to_float(static_cast<const bf16*>(args.c)[at]);
      const double gelu_error = e.activation == Activation::gelu ? 4e-5 : 0;
      ASSERT_NEAR(got, sum, 1e-6 * size + gelu_error + relative * std::abs(sum))
          << args.m << "x" << args.k << "x" << args.n << " at " << i << ", " << j;
    }
  }
}

class Packed : public Memory {
 public:
  Packed(const GemmBf16Kernels& kernels, const std::vector<float>& b, int64_t k, int64_t n,
         int64_t k_stride, int64_t n_stride, ThreadPool& pool)
      : Memory(kernels.packed_bytes(k, n)) {
    PackBArgs pack{.k = k, .n = n, .b = b.data(), .k_stride = k_stride, .n_stride = n_stride};
    pack.packed = Dtype::bf16;
    pack.out = get();
    kernels.pack_b(pack, pool);
  }
};

struct Bf16GemmSizes {
  int64_t m, n, k;
};

TEST_P(GemmBf16, AgreesWithTheOracleOnOddSizesStridesAndTypes) {
  const Bf16GemmSizes cases[] = {{1, 1, 1},     {3, 5, 0},     {1, 384, 384}, {7, 33, 13},
                                 {14, 32, 16},  {15, 31, 769}, {28, 47, 20},  {29, 35, 1601},
                                 {60, 257, 20}, {2, 130, 17},  {900, 33, 7}};
  for (const auto& [m, n, k] : cases) {
    for (const bool transposed : {false, true}) {
      const int64_t padding = m % 3;
      const auto b = random_floats(random_, (k + padding) * (n + padding));
      const auto a = random_floats(random_, m * (k + 3));
      const auto bias = random_floats(random_, n);
      const auto residual = random_floats(random_, m * (n + 2));
      const int64_t k_stride = transposed ? 1 : n + padding;
      const int64_t n_stride = transposed ? k + padding : 1;
      const Packed packed(kernels_, b, k, n, k_stride, n_stride, three_);
      std::vector<float> c(m * (n + 1), kNan);
      GemmBf16Args args{.m = m, .n = n, .k = k, .a = a.data(), .a_row = k + 3};
      args.packed_b = packed.get();
      args.c = c.data();
      args.c_row = n + 1;
      kernels_.gemm(args, three_);
      expect_near_oracle(args, rounded(a), rounded(b), k_stride, n_stride, 0);
      for (int64_t i = 0; i < m; ++i) EXPECT_TRUE(std::isnan(c[i * (n + 1) + n]));
      args.epilogue = {bias.data(), Activation::gelu, residual.data(), n + 2};
      kernels_.gemm(args, three_);
      expect_near_oracle(args, rounded(a), rounded(b), k_stride, n_stride, 0);
      const std::vector<float> wide = c;
      const auto half = narrowed(a);
      args.a = half.data();
      args.a_type = Dtype::bf16;
      kernels_.gemm(args, one_);
      EXPECT_TRUE(same_bits(c.data(), wide.data(), m * (n + 1)));
      if (k > kernels_.bf16_c_depth) continue;
      std::vector<bf16> c_half(m * (n + 1), bf16{0x7fc1});
      args.c = c_half.data();
      args.c_type = Dtype::bf16;
      kernels_.gemm(args, two_);
      expect_near_oracle(args, rounded(a), rounded(b), k_stride, n_stride, 1.0 / 256);
      for (int64_t i = 0; i < m; ++i) EXPECT_EQ(c_half[i * (n + 1) + n].bits, 0x7fc1);
    }
  }
}

TEST_P(GemmBf16, ReadsATransposedA) {
  const int64_t m = 9, n = 40, k = 450;
  const auto a = random_floats(random_, m * k);
  const auto b = random_floats(random_, k * n);
  const Packed packed(kernels_, b, k, n, n, 1, one_);
  std::vector<float> c(m * n);
  GemmBf16Args args{.m = m, .n = n, .k = k, .a = a.data(), .a_row = 1, .a_column = m};
  args.packed_b = packed.get();
  args.c = c.data();
  args.c_row = n;
  kernels_.gemm(args, three_);
  expect_near_oracle(args, rounded(a), rounded(b), n, 1, 0);
}

TEST_P(GemmBf16, PacksEveryType) {
  const int64_t m = 3, n = 21, k = 35;
  const auto a = random_floats(random_, m * k);
  auto b = rounded(random_floats(random_, k * n, 0.5, 1));
  std::vector<uint16_t> halves, bf16s;
  for (const float value : b) halves.push_back(to_f16(value).bits);
  for (const float value : b) bf16s.push_back(to_bf16(value).bits);
  std::vector<float> first;
  for (const auto& [type, data] : {std::pair<Dtype, const void*>{Dtype::f32, b.data()},
                                   {Dtype::f16, halves.data()},
                                   {Dtype::bf16, bf16s.data()}}) {
    const Memory packed(kernels_.packed_bytes(k, n));
    PackBArgs pack{.k = k, .n = n, .b = data, .source = type, .k_stride = n, .packed = Dtype::bf16};
    pack.out = packed.get();
    kernels_.pack_b(pack, one_);
    std::vector<float> c(m * n);
    GemmBf16Args args{.m = m, .n = n, .k = k, .a = a.data(), .a_row = k};
    args.packed_b = packed.get();
    args.c = c.data();
    args.c_row = n;
    kernels_.gemm(args, one_);
    if (first.empty()) first = c;
    EXPECT_TRUE(same_bits(c.data(), first.data(), m * n)) << to_string(type);
  }
}

TEST_P(GemmBf16, ARowsBitsDependOnTheRowAlone) {
  for (const auto& sizes : {std::pair<int64_t, int64_t>{95, 401}, {300, 768}, {70, 1700}}) {
    const int64_t n = sizes.first, k = sizes.second;
    const auto b = random_floats(random_, k * n);
    const auto bias = random_floats(random_, n);
    const auto a = random_floats(random_, 40 * k);
    const Packed packed(kernels_, b, k, n, n, 1, one_);
    const auto run = [&](int64_t first, int64_t m, ThreadPool& pool) {
      std::vector<float> c(m * n);
      GemmBf16Args args{.m = m, .n = n, .k = k, .a = a.data() + first * k, .a_row = k};
      args.packed_b = packed.get();
      args.c = c.data();
      args.c_row = n;
      args.epilogue = {bias.data(), Activation::gelu};
      kernels_.gemm(args, pool);
      return c;
    };
    std::vector<float> alone;
    for (int64_t i = 0; i < 40; ++i) {
      const auto row = run(i, 1, one_);
      alone.insert(alone.end(), row.begin(), row.end());
    }
    for (int64_t m = 1; m <= 40; ++m) {
      for (ThreadPool* pool : {&one_, &two_, &three_}) {
        EXPECT_TRUE(same_bits(run(0, m, *pool).data(), alone.data(), m * n)) << m;
        EXPECT_TRUE(same_bits(run(40 - m, m, *pool).data(), alone.data() + (40 - m) * n, m * n));
      }
    }
  }
}

TEST_P(GemmBf16, NonFiniteValuesStayInTheirRowAndColumn) {
  const int64_t m = 16, n = 40, k = 9;
  auto a = random_floats(random_, m * k, 0.5, 1);
  auto b = random_floats(random_, k * n, 0.5, 1);
  a[3 * k] = kNan;
  b[2 * n + 5] = kInfinity;
  const Packed packed(kernels_, b, k, n, n, 1, one_);
  std::vector<float> c(m * n);
  GemmBf16Args args{.m = m, .n = n, .k = k, .a = a.data(), .a_row = k};
  args.packed_b = packed.get();
  args.c = c.data();
  args.c_row = n;
  kernels_.gemm(args, one_);
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      EXPECT_EQ(std::isnan(c[i * n + j]), i == 3);
      EXPECT_EQ(std::isinf(c[i * n + j]), i != 3 && j == 5);
    }
  }
}

TEST_P(GemmBf16, RefusesSizesThatOverflow) {
  EXPECT_THROW(kernels_.packed_bytes(int64_t{1} << 40, int64_t{1} << 40), Error);
  EXPECT_EQ(kernels_.packed_bytes(0, 8), 0U);
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(GemmBf16);
INSTANTIATE_TEST_SUITE_P(Cpu, GemmBf16, testing::ValuesIn(bf16_isas()), isa_name);

}  // namespace
}  // namespace tercel::kernels
