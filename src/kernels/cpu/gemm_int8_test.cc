#include <algorithm>
#include <cmath>
#include <memory>

#include "src/kernels/cpu/int8_test_support.h"

namespace tercel::kernels {
namespace {

class GemmInt8 : public testing::TestWithParam<CpuIsa> {
 protected:
  // The packed matrix B[k, n].
  template <class T>
  std::unique_ptr<Memory> pack(int64_t k, int64_t n, const std::vector<T>& b, const float* scale,
                               const int32_t* zero, bool transposed = false) {
    auto packed = std::make_unique<Memory>(kernels_.packed_bytes(k, n));
    kernels_.pack_b({.k = k,
                     .n = n,
                     .b = b.data(),
                     .is_signed = std::is_signed_v<T>,
                     .k_stride = transposed ? 1 : n,
                     .n_stride = transposed ? k : 1,
                     .scale = scale,
                     .zero = zero,
                     .out = packed->get()},
                    three_);
    return packed;
  }

  void run(Int8GemmArgs args, ThreadPool& pool) {
    const Memory workspace(kernels_.workspace(args.m, args.k, pool.size()));
    args.workspace = workspace.get();
    kernels_.gemm(args, pool);
  }

  template <class A, class B>
  void check_sums(int64_t m, int64_t n, int64_t k) {
    SCOPED_TRACE(testing::Message() << m << " x " << n << " x " << k);
    const auto a = random_bytes<A>(random_, m * k);
    const auto b = random_bytes<B>(random_, k * n);
    std::vector<int32_t> a_zero, b_zero;
    for (int64_t i = 0; i < m; ++i) a_zero.push_back(static_cast<int32_t>(i % 7) - 2);
    for (int64_t i = 0; i < n; ++i) b_zero.push_back(static_cast<int32_t>(i % 5) - 3);
    const auto packed = pack(k, n, b, nullptr, b_zero.data());
    std::vector<int32_t> sums(static_cast<std::size_t>(m * n), -1);
    run({.m = m,
         .n = n,
         .k = k,
         .a_bytes = a.data(),
         .a_signed = std::is_signed_v<A>,
         .a_zero = a_zero.data(),
         .a_row = k,
         .packed_b = packed->get(),
         .sums = sums.data(),
         .c_row = n},
        three_);
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        int32_t sum = 0;
        for (int64_t t = 0; t < k; ++t) {
          sum += (a[static_cast<std::size_t>(i * k + t)] - a_zero[static_cast<std::size_t>(i)]) *
                 (b[static_cast<std::size_t>(t * n + j)] - b_zero[static_cast<std::size_t>(j)]);
        }
        ASSERT_EQ(sums[static_cast<std::size_t>(i * n + j)], sum) << i << ", " << j;
      }
    }
  }

  const GemmInt8Kernels& kernels_ = gemm_int8_kernels(GetParam());
  std::mt19937 random_{20260131};
  ThreadPool one_{1};
  ThreadPool three_{3};
};

TEST_P(GemmInt8, SumsAreExact) {
  for (const int64_t m : {1, 2, 3, 5, 13, 29}) check_sums<uint8_t, int8_t>(m, 37, 67);
  check_sums<int8_t, int8_t>(17, 64, 130);
  check_sums<uint8_t, uint8_t>(200, 3, 9);
  check_sums<int8_t, uint8_t>(5, 100, 1);
  check_sums<uint8_t, int8_t>(300, 70, 257);
}

// The greatest sums that there are: what saturates on the way would show.
TEST_P(GemmInt8, ExtremesDoNotSaturate) {
  const int64_t k = 1000;
  const std::vector<uint8_t> a(static_cast<std::size_t>(k), 255);
  const std::vector<int8_t> b(static_cast<std::size_t>(k), -128);
  const auto packed = pack(k, 1, b, nullptr, nullptr);
  int32_t sum = 0;
  run({.m = 1,
       .n = 1,
       .k = k,
       .a_bytes = a.data(),
       .a_row = k,
       .packed_b = packed->get(),
       .sums = &sum,
       .c_row = 1},
      one_);
  EXPECT_EQ(sum, -255 * 128 * 1000);
}

TEST_P(GemmInt8, QuantisesRowsAsTheTextSays) {
  for (const int64_t m : {1, 4, 15, 33, 150}) {
    const int64_t n = 45, k = 101;
    auto a = random_floats(random_, m * k, -1, 2);
    for (int64_t i = 0; i < k; ++i) a[static_cast<std::size_t>(i)] = 0.5F;  // no negative value
    const auto b = random_bytes<int8_t>(random_, k * n);
    const auto scale = random_floats(random_, n, 0.01F, 0.02F);
    const auto bias = random_floats(random_, n);
    const auto residual = random_floats(random_, m * n);
    const auto packed = pack(k, n, b, scale.data(), nullptr);
    std::vector<float> c(static_cast<std::size_t>(m * n));
    run({.m = m,
         .n = n,
         .k = k,
         .a = a.data(),
         .a_row = k,
         .packed_b = packed->get(),
         .c = c.data(),
         .c_row = n,
         .epilogue = {.bias = bias.data(),
                      .activation = Activation::relu,
                      .residual = residual.data(),
                      .residual_stride = n}},
        three_);
    for (int64_t i = 0; i < m; ++i) {
      const QuantizedRow row(a.data() + i * k, k);
      for (int64_t j = 0; j < n; ++j) {
        int32_t sum = 0;
        for (int64_t t = 0; t < k; ++t)
          sum += row.values[static_cast<std::size_t>(t)] * b[static_cast<std::size_t>(t * n + j)];
        const auto at = static_cast<std::size_t>(i * n + j);
        const auto column = static_cast<std::size_t>(j);
        const float value = static_cast<float>(sum) * (row.scale * scale[column]) + bias[column];
        const float expected = std::max(value, 0.0F) + residual[at];
        ASSERT_EQ(c[at], expected) << m << ": " << i << ", " << j;
      }
    }
  }
}

TEST_P(GemmInt8, ARowIsTheSameWhateverIsWithIt) {
  const int64_t n = 75, k = 200, most = 130;
  const auto a = random_floats(random_, most * k);
  const auto b = random_bytes<int8_t>(random_, k * n);
  const auto packed = pack(k, n, b, nullptr, nullptr, true);
  const auto product = [&](int64_t begin, int64_t m, ThreadPool& pool) {
    std::vector<float> c(static_cast<std::size_t>(m * n));
    run({.m = m,
         .n = n,
         .k = k,
         .a = a.data() + begin * k,
         .a_row = k,
         .packed_b = packed->get(),
         .c = c.data(),
         .c_row = n,
         .epilogue = {.activation = Activation::gelu}},
        pool);
    return c;
  };
  const auto whole = product(0, most, three_);
  EXPECT_EQ(whole, product(0, most, one_));
  for (const auto& [begin, m] : {std::pair{0, 1}, {5, 2}, {7, 14}, {64, 31}, {129, 1}}) {
    const auto some = product(begin, m, three_);
    EXPECT_TRUE(same_bits(some.data(), whole.data() + begin * n, m * n)) << begin << ", " << m;
  }
}

TEST_P(GemmInt8, RowsThatAreNotFiniteGiveNan) {
  const int64_t n = 3, k = 40;
  std::vector<float> a(static_cast<std::size_t>(4 * k), 1.0F);
  a[3] = kNan;
  a[static_cast<std::size_t>(k + 39)] = kInfinity;
  for (int64_t i = 0; i < k; ++i) a[static_cast<std::size_t>(2 * k + i)] = 0;
  const auto b = random_bytes<int8_t>(random_, k * n);
  const auto packed = pack(k, n, b, nullptr, nullptr);
  std::vector<float> c(static_cast<std::size_t>(4 * n));
  run({.m = 4,
       .n = n,
       .k = k,
       .a = a.data(),
       .a_row = k,
       .packed_b = packed->get(),
       .c = c.data(),
       .c_row = n},
      one_);
  for (std::size_t j = 0; j < 3; ++j) {
    EXPECT_TRUE(std::isnan(c[j]));
    EXPECT_TRUE(std::isnan(c[3 + j]));
    EXPECT_EQ(c[6 + j], 0);
    EXPECT_FALSE(std::isnan(c[9 + j]));
  }
}

TEST_P(GemmInt8, EmptySizes) {
  const std::vector<int8_t> b;
  const auto packed = pack(0, 5, b, nullptr, nullptr);
  const float bias[5] = {1, 2, 3, 4, 5};
  std::vector<float> c(10, -1);
  const float none = 0;
  run({.m = 2,
       .n = 5,
       .k = 0,
       .a = &none,
       .packed_b = packed->get(),
       .c = c.data(),
       .c_row = 5,
       .epilogue = {.bias = bias}},
      one_);
  EXPECT_EQ(c, (std::vector<float>{1, 2, 3, 4, 5, 1, 2, 3, 4, 5}));
  run({.m = 0, .n = 5, .k = 0, .packed_b = packed->get(), .c = c.data(), .c_row = 5}, one_);
}

INSTANTIATE_TEST_SUITE_P(, GemmInt8, testing::ValuesIn(cpu_isas().begin(), cpu_isas().end()),
                         isa_name);

}  // namespace
}  // namespace tercel::kernels
