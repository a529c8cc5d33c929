#include <gtest/gtest.h>

#include "src/ops/op_test_util.h"

namespace tercel::ops {
namespace {

std::vector<double> product(const Tensor& a, const Tensor& b, int64_t m, int64_t k, int64_t n,
                            int64_t a_at = 0, int64_t b_at = 0) {
  const auto x = to_doubles(a);
  const auto y = to_doubles(b);
  std::vector<double> c;
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (int64_t p = 0; p < k; ++p)
        sum += x[static_cast<std::size_t>(a_at + i * k + p)] *
               y[static_cast<std::size_t>(b_at + p * n + j)];
      c.push_back(sum);
    }
  }
  return c;
}

RunOptions constant_weight() {
  RunOptions options;
  options.constant = {1};
  return options;
}

TEST(Matmul, Literals) {
  const auto y = run_op("MatMul", {Tensor::from({1.0F, 2.0F, 3.0F, 4.0F}, {2, 2}),
                                   Tensor::from({5.0F, 6.0F, 7.0F, 8.0F}, {2, 2})})[0];
  EXPECT_EQ(to_doubles(y), (std::vector<double>{19, 22, 43, 50}));
}

TEST(Matmul, PackedAndBatchedAgreeToTheBit) {
  uint32_t seed = 3;
  for (const auto& [m, k, n] : {std::array<int64_t, 3>{1, 7, 5},
                                {3, 64, 33},
                                {17, 129, 70},
                                {0, 4, 4},
                                {5, 1, 1},
                                {4, 0, 3}}) {
    const Tensor a = random_tensor(Dtype::f32, {m, k}, seed++);
    const Tensor b = random_tensor(Dtype::f32, {k, n}, seed++);
    const OpRun packed = run_op_with(constant_weight(), "MatMul", {a, b});
    const OpRun batched = run_op_with({}, "MatMul", {a, b});
    EXPECT_EQ(packed.implementation, "gemm_f32_packed");
    EXPECT_EQ(batched.implementation, "gemm_f32_batched");
    EXPECT_LE(distance(packed.outputs[0], product(a, b, m, k, n)), 1e-5);
    EXPECT_TRUE(same_bits(packed.outputs[0], batched.outputs[0])) << m << ' ' << k << ' ' << n;
  }
}

TEST(Matmul, ARowDoesNotDependOnItsBatch) {
  const Tensor a = random_tensor(Dtype::f32, {29, 96}, 11);
  const Tensor b = random_tensor(Dtype::f32, {96, 50}, 12);
  for (const bool packed : {true, false}) {
    const RunOptions options = packed ? constant_weight() : RunOptions();
    const Tensor all = run_op_with(options, "MatMul", {a, b}).outputs[0];
    for (int64_t row = 0; row < 29; ++row) {
      const Tensor one = run_op_with(options, "MatMul", {a.slice(row, row + 1), b}).outputs[0];
      EXPECT_TRUE(same_bits(one, all.slice(row, row + 1)));
    }
  }
}

TEST(Matmul, BroadcastsAsNumpy) {
  struct Case {
    Shape a, b, out;
  };
  const Case cases[] = {{{3}, {3}, {}},
                        {{3}, {3, 2}, {2}},
                        {{4, 3}, {3}, {4}},
                        {{2, 4, 3}, {3, 5}, {2, 4, 5}},
                        {{2, 1, 4, 3}, {5, 3, 2}, {2, 5, 4, 2}},
                        {{4, 3}, {2, 3, 2}, {2, 4, 2}},
                        {{2, 4, 3}, {3}, {2, 4}},
                        {{0, 4, 3}, {3, 2}, {0, 4, 2}},
                        {{6, 2, 3, 4}, {1, 2, 4, 3}, {6, 2, 3, 3}}};
  for (const Case& one : cases) {
    // The generic kernel in f64 is the oracle of the vector kernels.
    const Tensor a = random_tensor(Dtype::f32, one.a, 5);
    const Tensor b = random_tensor(Dtype::f32, one.b, 6);
    const Tensor y = run_op("MatMul", {a, b})[0];
    EXPECT_EQ(y.shape(), one.out);
    const Tensor exact = run_op("MatMul", {from_doubles(to_doubles(a), Dtype::f64, one.a),
                                           from_doubles(to_doubles(b), Dtype::f64, one.b)})[0];
    EXPECT_LE(distance(y, to_doubles(exact)), 1e-5) << to_string(one.a) << to_string(one.b);
  }
}

TEST(Matmul, EveryType) {
  for (const Dtype dtype :
       {Dtype::f64, Dtype::f16, Dtype::bf16, Dtype::i32, Dtype::i64, Dtype::u32, Dtype::u64}) {
    const Tensor a = random_tensor(dtype, {3, 9}, 1);
    const Tensor b = random_tensor(dtype, {9, 4}, 2);
    EXPECT_LE(distance(run_op("MatMul", {a, b})[0], product(a, b, 3, 9, 4)),
              dtype == Dtype::bf16 ? 5e-3 : 1e-3)
        << to_string(dtype);
  }
}

TEST(Matmul, EpilogueOfBiasActivationAndResidual) {
  const Tensor a = random_tensor(Dtype::f32, {2, 3, 40}, 1);
  const Tensor b = random_tensor(Dtype::f32, {40, 21}, 2);
  const Tensor residual = random_tensor(Dtype::f32, {2, 3, 21}, 3);
  RunOptions options = constant_weight();
  options.epilogue = {random_tensor(Dtype::f32, {21}, 4), Activation::gelu_erf, true};
  const OpRun fused = run_op_with(options, "MatMul", {a, b, residual});
  EXPECT_EQ(fused.implementation, "gemm_f32_packed");
  Tensor y = run_op("MatMul", {a, b})[0];
  y = run_op("Gelu", {run_op("Add", {y, options.epilogue.bias})[0]})[0];
  y = run_op("Add", {y, residual})[0];
  EXPECT_LE(distance(fused.outputs[0], to_doubles(y)), 1e-6);
}

TEST(Matmul, HalfWeightsAreExactOnceRounded) {
  const Tensor a = random_tensor(Dtype::f32, {5, 48}, 1);
  const Tensor b = random_tensor(Dtype::f32, {48, 37}, 2);
  const Tensor rounded = from_doubles(
      to_doubles(from_doubles(to_doubles(b), Dtype::bf16, {48, 37})), Dtype::f32, {48, 37});
  RunOptions options = constant_weight();
  options.weight_dtype = Dtype::bf16;
  options.isa = CpuIsa::generic;  // widens the weights
  RunOptions same_isa;
  same_isa.isa = CpuIsa::generic;
  EXPECT_TRUE(same_bits(run_op_with(options, "MatMul", {a, b}).outputs[0],
                        run_op_with(same_isa, "MatMul", {a, rounded}).outputs[0]));
}

TEST(Matmul, Bf16SessionsMultiplyBf16WhereTheCpuDoes) {
  const auto rounded = [](const Tensor& tensor) {
    return from_doubles(to_doubles(from_doubles(to_doubles(tensor), Dtype::bf16, tensor.shape())),
                        Dtype::f32, tensor.shape());
  };
  const Tensor a = random_tensor(Dtype::f32, {5, 48}, 1);
  const Tensor b = random_tensor(Dtype::f32, {48, 37}, 2);
  RunOptions options = constant_weight();
  options.weight_dtype = Dtype::bf16;
  const OpRun run = run_op_with(options, "MatMul", {a, b});
  if (!cpu_has(CpuIsa::avx512_bf16)) GTEST_SKIP() << "this CPU does not multiply bf16";
  EXPECT_EQ(run.implementation, "gemm_bf16_packed");
  EXPECT_LE(distance(run.outputs[0], to_doubles(run_op("MatMul", {rounded(a), rounded(b)})[0])),
            1e-5);
}

TEST(Matmul, RejectsShapesThatDoNotFit) {
  const Tensor a = random_tensor(Dtype::f32, {2, 3}, 1);
  EXPECT_THROW(run_op("MatMul", {a, a}), Error);
  EXPECT_THROW(run_op("MatMul", {a, Tensor::scalar(1.0F)}), Error);
}

TEST(Gemm, AllTranspositionsScalesAndAddends) {
  for (const Dtype dtype : {Dtype::f32, Dtype::f64, Dtype::f16}) {
    for (const bool constant : {false, true}) {
      for (const int64_t ta : {0, 1}) {
        for (const int64_t tb : {0, 1}) {
          for (const float alpha : {1.0F, 0.5F}) {
            for (const Shape& c : {Shape{}, Shape{1}, Shape{6}, Shape{5, 1}, Shape{5, 6}}) {
              const Tensor a = random_tensor(dtype, ta != 0 ? Shape{7, 5} : Shape{5, 7}, 1);
              const Tensor b = random_tensor(dtype, tb != 0 ? Shape{6, 7} : Shape{7, 6}, 2);
              const Tensor addend = random_tensor(dtype, c, 3);
              const auto x = to_doubles(a);
              const auto y = to_doubles(b);
              const auto z = to_doubles(addend);
              std::vector<double> expected;
              for (std::size_t i = 0; i < 5; ++i) {
                for (std::size_t j = 0; j < 6; ++j) {
                  double sum = 0;
                  for (std::size_t p = 0; p < 7; ++p)
                    sum += x[ta != 0 ? p * 5 + i : i * 7 + p] * y[tb != 0 ? j * 7 + p : p * 6 + j];
                  const std::size_t at = z.size() == 1   ? 0
                                         : z.size() == 6 ? j
                                         : z.size() == 5 ? i
                                                         : i * 6 + j;
                  expected.push_back(alpha * sum + 1.0 * z[at]);
                }
              }
              RunOptions options;
              if (constant) options.constant = {1};
              const OpRun run = run_op_with(options, "Gemm", {a, b, addend},
                                            {{"transA", ta}, {"transB", tb}, {"alpha", alpha}});
              EXPECT_LE(distance(run.outputs[0], expected), dtype == Dtype::f16 ? 5e-3 : 1e-5)
                  << run.implementation << ' ' << to_string(c);
            }
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace tercel::ops
