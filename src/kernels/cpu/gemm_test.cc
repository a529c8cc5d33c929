#include "src/kernels/cpu/gemm.h"

#include <algorithm>
#include <tuple>

#include "src/base/half.h"
#include "src/kernels/cpu/test_support.h"
#include "tercel/error.h"

namespace tercel::kernels {
namespace {

using Gemm = PerIsa;

double activate(Activation activation, double x) {
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::relu:
      return x < 0 ? 0 : x;
    case Activation::gelu:
      return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    case Activation::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Activation::silu:
      return x / (1 + std::exp(-x));
    case Activation::tanh:
      return std::tanh(x);
    case Activation::sigmoid:
      return 1 / (1 + std::exp(-x));
  }
  return x;
}

// Values as they are after a round trip through `type`, and those of `type` themselves.
struct Stored {
  std::vector<float> values;
  std::vector<uint16_t> half;
  const void* data;

  Stored(std::vector<float> from, Dtype type) : values(std::move(from)), half(values.size()) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      half[i] = type == Dtype::f16 ? to_f16(values[i]).bits : to_bf16(values[i]).bits;
      if (type == Dtype::f16) values[i] = to_float(f16{half[i]});
      if (type == Dtype::bf16) values[i] = to_float(bf16{half[i]});
    }
    data = type == Dtype::f32 ? static_cast<const void*>(values.data()) : half.data();
  }
};

struct GemmSizes {
  int64_t m, n, k;
};

void expect_near_oracle(const GemmArgs& args, const float* b, int64_t k_stride, int64_t n_stride) {
  const GemmEpilogue& e = args.epilogue;
  for (int64_t i = 0; i < args.m; ++i) {
    for (int64_t j = 0; j < args.n; ++j) {
      double sum = 0;
      double size = 1;
      for (int64_t k = 0; k < args.k; ++k) {
        const double product = static_cast<double>(args.a[i * args.a_row + k * args.a_column]) *
                               b[k * k_stride + j * n_stride];
        sum += product;
        size += std::abs(product);
      }
      if (e.bias != nullptr) sum += e.bias[j];
      sum = activate(e.activation, sum);
      if (e.residual != nullptr) sum += e.residual[i * e.residual_stride + j];
      ASSERT_NEAR(args.c[i * args.c_row + j], sum, 1e-6 * size + 1e-6)
          << args.m << "x" << args.k << "x" << args.n << " at " << i << ", " << j;
    }
  }
}

TEST_P(Gemm, AgreesWithTheOracleOnOddSizesStridesAndTypes) {
  const GemmSizes cases[] = {{1, 1, 1},    {3, 5, 0},     {1, 384, 384}, {7, 33, 13},
                             {14, 32, 16}, {15, 31, 385}, {29, 65, 800}, {100, 257, 50},
                             {2, 130, 17}, {5, 1, 40}};
  for (const auto& [m, n, k] : cases) {
    for (const Dtype type : {Dtype::f32, Dtype::f16, Dtype::bf16}) {
      for (const bool transposed : {false, true}) {
        SCOPED_TRACE(std::string(to_string(type)) + (transposed ? " transposed" : ""));
        const int64_t padding = m % 3;
        const Stored b(random_floats(random_, (k + padding) * (n + padding)), type);
        const auto a = random_floats(random_, m * (k + 3) + 1);
        const auto bias = random_floats(random_, n);
        const auto residual = random_floats(random_, m * (n + 2));
        std::vector<float> c(m * (n + 1), kNan);
        PackBArgs pack{.k = k, .n = n, .b = b.data, .source = type, .packed = type};
        pack.k_stride = transposed ? 1 : n + padding;
        pack.n_stride = transposed ? k + padding : 1;
        const Memory packed(kernels_.gemm.packed_bytes(k, n, type));
        pack.out = packed.get();
        kernels_.gemm.pack_b(pack, three_);
        GemmArgs args{.m = m, .n = n, .k = k, .a = a.data() + 1, .a_row = k + 3};
        args.packed_b = packed.get();
        args.packed = type;
        args.c = c.data();
        args.c_row = n + 1;
        kernels_.gemm.gemm(args, three_);
        expect_near_oracle(args, b.values.data(), pack.k_stride, pack.n_stride);
        for (int64_t i = 0; i < m; ++i) EXPECT_TRUE(std::isnan(c[i * (n + 1) + n]));
        args.epilogue = {bias.data(), Activation::gelu, residual.data(), n + 2};
        kernels_.gemm.gemm(args, three_);
        expect_near_oracle(args, b.values.data(), pack.k_stride, pack.n_stride);
      }
    }
  }
}

TEST_P(Gemm, HasEveryActivation) {
  const int64_t m = 5, n = 37, k = 20;
  const auto a = random_floats(random_, m * k, -3, 3);
  const auto b = random_floats(random_, k * n);
  const Memory packed(kernels_.gemm.packed_bytes(k, n, Dtype::f32));
  kernels_.gemm.pack_b({.k = k, .n = n, .b = b.data(), .k_stride = n, .out = packed.get()}, one_);
  std::vector<float> c(m * n);
  for (const auto activation :
       {Activation::none, Activation::relu, Activation::gelu, Activation::gelu_tanh,
        Activation::silu, Activation::tanh, Activation::sigmoid}) {
    GemmArgs args{.m = m, .n = n, .k = k, .a = a.data(), .a_row = k, .packed_b = packed.get()};
    args.c = c.data();
    args.c_row = n;
    args.epilogue.activation = activation;
    kernels_.gemm.gemm(args, one_);
    expect_near_oracle(args, b.data(), n, 1);
  }
}

TEST_P(Gemm, ReadsATransposedA) {
  const int64_t m = 9, n = 40, k = 450;
  const auto a = random_floats(random_, m * k);
  const auto b = random_floats(random_, k * n);
  const Memory packed(kernels_.gemm.packed_bytes(k, n, Dtype::f32));
  kernels_.gemm.pack_b({.k = k, .n = n, .b = b.data(), .k_stride = n, .out = packed.get()}, one_);
  std::vector<float> c(m * n);
  GemmArgs args{.m = m, .n = n, .k = k, .a = a.data(), .a_row = 1, .a_column = m};
  args.packed_b = packed.get();
  args.c = c.data();
  args.c_row = n;
  kernels_.gemm.gemm(args, three_);
  expect_near_oracle(args, b.data(), n, 1);
}

TEST_P(Gemm, ARowsBitsDependOnTheRowAlone) {
  for (const auto& sizes : {std::pair<int64_t, int64_t>{95, 401}, {384, 384}, {70, 900}}) {
    const int64_t n = sizes.first, k = sizes.second;
    for (const Dtype type : {Dtype::f32, Dtype::f16, Dtype::bf16}) {
      const auto b = random_floats(random_, k * n);
      const auto bias = random_floats(random_, n);
      const auto a = random_floats(random_, 40 * k);
      const Memory packed(kernels_.gemm.packed_bytes(k, n, type));
      PackBArgs pack{.k = k, .n = n, .b = b.data(), .k_stride = n, .packed = type};
      pack.out = packed.get();
      kernels_.gemm.pack_b(pack, one_);
      const auto run = [&](int64_t first, int64_t m, ThreadPool& pool) {
        std::vector<float> c(m * n);
        GemmArgs args{.m = m, .n = n, .k = k, .a = a.data() + first * k, .a_row = k};
        args.packed_b = packed.get();
        args.packed = type;
        args.c = c.data();
        args.c_row = n;
        args.epilogue = {bias.data(), Activation::gelu};
        const Memory workspace(kernels_.gemm.gemm_workspace(m, pool.size()));
        if (pool.size() == 2) args.workspace = workspace.get();
        kernels_.gemm.gemm(args, pool);
        return c;
      };
      std::vector<float> alone;
      for (int64_t i = 0; i < 40; ++i) {
        const auto row = run(i, 1, one_);
        alone.insert(alone.end(), row.begin(), row.end());
      }
      ThreadPool two(2);
      for (int64_t m = 1; m <= 40; ++m) {
        for (ThreadPool* pool : {&one_, &two, &three_}) {
          EXPECT_TRUE(same_bits(run(0, m, *pool).data(), alone.data(), m * n)) << m;
          EXPECT_TRUE(same_bits(run(40 - m, m, *pool).data(), alone.data() + (40 - m) * n, m * n));
        }
      }
    }
  }
}

TEST_P(Gemm, AWorkspaceChangesNoBit) {
  const std::tuple<int64_t, int64_t, int64_t> cases[] = {
      {300, 70, 500}, {145, 33, 7}, {30, 900, 400}, {1, 65, 385}, {290, 5, 0}};
  for (const auto& [m, n, k] : cases) {
    for (const Dtype type : {Dtype::f32, Dtype::f16, Dtype::bf16}) {
      const auto a = random_floats(random_, m * k);
      const auto b = random_floats(random_, k * n);
      const auto bias = random_floats(random_, n);
      const auto residual = random_floats(random_, m * (n + 1));
      const Memory packed(kernels_.gemm.packed_bytes(k, n, type));
      PackBArgs pack{.k = k, .n = n, .b = b.data(), .k_stride = n, .packed = type};
      pack.out = packed.get();
      kernels_.gemm.pack_b(pack, one_);
      std::vector<float> without(m * (n + 3), kNan);
      std::vector<float> with(without);
      GemmArgs args{.m = m, .n = n, .k = k, .a = a.data(), .a_row = k};
      args.packed_b = packed.get();
      args.packed = type;
      args.c = without.data();
      args.c_row = n + 3;
      args.epilogue = {bias.data(), Activation::gelu, residual.data(), n + 1};
      kernels_.gemm.gemm(args, one_);
      args.c = with.data();
      for (ThreadPool* pool : {&one_, &three_}) {
        const Memory workspace(kernels_.gemm.gemm_workspace(m, pool->size()));
        args.workspace = workspace.get();
        kernels_.gemm.gemm(args, *pool);
        EXPECT_TRUE(same_bits(with.data(), without.data(), m * (n + 3))) << m << " rows";
      }
    }
  }
}

TEST_P(Gemm, IsOneChainOverAscendingK) {
  const int64_t n = 50, k = 1000;
  const auto a = random_floats(random_, k);
  const auto b = random_floats(random_, k * n);
  const Memory packed(kernels_.gemm.packed_bytes(k, n, Dtype::f32));
  kernels_.gemm.pack_b({.k = k, .n = n, .b = b.data(), .k_stride = n, .out = packed.get()}, one_);
  std::vector<float> c(n);
  GemmArgs args{.m = 1, .n = n, .k = k, .a = a.data(), .a_row = k, .packed_b = packed.get()};
  args.c = c.data();
  args.c_row = n;
  kernels_.gemm.gemm(args, one_);
  for (int64_t j = 0; j < n; ++j) {
    float chain = 0;
    for (int64_t i = 0; i < k; ++i) {
      if (GetParam() == CpuIsa::generic) {
        volatile float product = a[i] * b[i * n + j];  // not fused by whoever compiles this test
        chain += product;
      } else {
        chain = std::fma(a[i], b[i * n + j], chain);
      }
    }
    EXPECT_EQ(c[j], chain);
  }
}

TEST_P(Gemm, BatchesMatchTheOracleAndEachOther) {
  struct Batch {
    int64_t batch, m, n, k;
  };
  for (const auto& [batch, m, n, k] :
       {Batch{6, 17, 35, 20}, {1, 70, 600, 420}, {3, 1, 1, 5}, {2, 4, 300, 0}, {0, 4, 4, 4}}) {
    for (const bool transposed : {false, true}) {
      const auto a = random_floats(random_, batch * m * k + 1);
      const auto b = random_floats(random_, k * n);
      std::vector<float> c(batch * m * n, kNan);
      std::vector<float> again(batch * m * n, kNan);
      const Memory workspace(kernels_.gemm.batched_gemm_workspace(3));
      BatchedGemmArgs args{.batch = batch, .m = m, .n = n, .k = k, .a = a.data()};
      args.a_batch = m * k;
      args.a_row = k;
      args.b = b.data();
      args.b_k = transposed ? 1 : n;
      args.b_n = transposed ? k : 1;
      args.c = c.data();
      args.c_batch = m * n;
      args.c_row = n;
      args.workspace = workspace.get();
      kernels_.gemm.batched_gemm(args, three_);
      for (int64_t i = 0; i < batch; ++i) {
        GemmArgs one{.m = m, .n = n, .k = k, .a = a.data() + i * m * k, .a_row = k};
        one.c = c.data() + i * m * n;
        one.c_row = n;
        expect_near_oracle(one, b.data(), args.b_k, args.b_n);
      }
      std::vector<int64_t> a_offsets, b_offsets(batch, 0);
      for (int64_t i = 0; i < batch; ++i) a_offsets.push_back(i * m * k);
      args.a_offsets = a_offsets.data();
      args.b_offsets = b_offsets.data();
      args.c = again.data();
      kernels_.gemm.batched_gemm(args, one_);
      EXPECT_TRUE(same_bits(c.data(), again.data(), batch * m * n));
    }
  }
}

TEST_P(Gemm, NonFiniteValuesStayInTheirRowAndColumn) {
  const int64_t m = 16, n = 40, k = 8;
  auto a = random_floats(random_, m * k, 0.5, 1);
  auto b = random_floats(random_, k * n, 0.5, 1);
  a[3 * k] = kNan;
  b[2 * n + 5] = kInfinity;
  const Memory packed(kernels_.gemm.packed_bytes(k, n, Dtype::f32));
  kernels_.gemm.pack_b({.k = k, .n = n, .b = b.data(), .k_stride = n, .out = packed.get()}, one_);
  std::vector<float> c(m * n);
  GemmArgs args{.m = m, .n = n, .k = k, .a = a.data(), .a_row = k, .packed_b = packed.get()};
  args.c = c.data();
  args.c_row = n;
  kernels_.gemm.gemm(args, one_);
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      const float value = c[i * n + j];
      EXPECT_EQ(std::isnan(value), i == 3);
      EXPECT_EQ(std::isinf(value), i != 3 && j == 5);
    }
  }
}

TEST_P(Gemm, RefusesOtherTypesAndSizesThatOverflow) {
  EXPECT_THROW(kernels_.gemm.packed_bytes(8, 8, Dtype::i8), Error);
  EXPECT_THROW(kernels_.gemm.packed_bytes(int64_t{1} << 40, int64_t{1} << 40, Dtype::f32), Error);
  EXPECT_EQ(kernels_.gemm.packed_bytes(0, 8, Dtype::f32), 0U);
}

INSTANTIATE_TEST_SUITE_P(Cpu, Gemm, testing::ValuesIn(vector_isas()), isa_name);

}  // namespace
}  // namespace tercel::kernels
