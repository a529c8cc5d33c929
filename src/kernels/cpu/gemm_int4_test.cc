
#include <cmath>
#include <memory>

#include "src/kernels/cpu/grouped_test_support.h"
#include "tercel/error.h"

namespace tercel::kernels {
namespace {

class GemmInt4 : public testing::TestWithParam<CpuIsa> {
 protected:
  std::unique_ptr<Memory> pack(PackGroupedArgs args) {
    auto packed = std::make_unique<Memory>(kernels_.packed_bytes(args));
    args.out = packed->get();
    kernels_.pack_b(args, three_);
    return packed;
  }

  void run(Int4GemmArgs args, ThreadPool& pool) {
    const Memory workspace(kernels_.workspace(args.m, args.k, pool.size()));
    args.workspace = workspace.get();
    kernels_.gemm(args, pool);
  }

  float fma(float a, float b, float c) const {
    return GetParam() == CpuIsa::generic ? a * b + c : std::fma(a, b, c);
  }

  // A row of A by a column of B, by the text of the header.
  float expected(const float* row, const GroupedWeight& weight, int64_t column) const {
    const PackGroupedArgs& args = weight.args;
    float sum = 0;
    for (int64_t first = 0; first < args.k; first += kInt4Block) {
      const int64_t last = std::min(first + kInt4Block, args.k);
      float range = 1e-30F;
      for (int64_t i = first; i < last; ++i) range = std::max(range, std::abs(row[i]));
      const auto g =
          static_cast<std::size_t>(first / args.group * args.scale_group + column * args.scale_n);
      int products = 0;
      for (int64_t i = first; i < last; ++i) {
        const int q = weight.integer(i, column) - (args.zero != nullptr ? args.zero[g] : 0);
        products += static_cast<int>(std::nearbyint(row[i] * (127 / range))) * q;
      }
      sum = fma(static_cast<float>(products), args.scale[g] * (range / 127), sum);
    }
    return sum;
  }

  const GemmInt4Kernels& kernels_ = gemm_int4_kernels(GetParam());
  std::mt19937 random_{20261129};
  ThreadPool one_{1};
  ThreadPool three_{3};
};

TEST_P(GemmInt4, RoundsRowsInBlocks) {
  // Two blocks; 127 steps up to 127 in the first and up to 254 in the second, where 3 is a tie that
  // becomes 4.
  const int64_t k = 64;
  std::vector<float> a(64, 0);
  a[0] = 127;
  a[1] = -100.25F;
  a[32] = 3;
  a[63] = -254;
  std::vector<uint8_t> bytes(32);
  set_packed_element(bytes.data(), 0, 4, 1);
  set_packed_element(bytes.data(), 1, 4, 0xe);  // -2
  set_packed_element(bytes.data(), 32, 4, 7);
  set_packed_element(bytes.data(), 63, 4, 8);  // -8
  const std::vector<float> scale{1, 0.5F};
  const auto packed = pack({.k = k,
                            .n = 1,
                            .b = bytes.data(),
                            .k_stride = 1,
                            .group = 32,
                            .scale = scale.data(),
                            .scale_group = 1});
  float c = kNan;
  run({.m = 1, .n = 1, .k = k, .a = a.data(), .a_row = k, .packed_b = packed->get(), .c = &c},
      one_);
  EXPECT_EQ(c, 127 + 200 + 0.5F * (4 * 7 + 254 * 8));
}

TEST_P(GemmInt4, HasTheBitsOfItsDefinitionForAnyRowsAndThreads) {
  const GroupedCase cases[] = {{64, 33, 32},   {1000, 70, 32}, {400, 31, 400}, {1, 1, 32},
                               {384, 130, 64}, {385, 16, 128}, {0, 20, 32},    {50, 0, 64}};
  for (const GroupedCase& sizes : cases) {
    for (const Dtype dtype : {Dtype::i4, Dtype::u4}) {
      for (const bool with_zero : {false, true}) {
        const int64_t k = sizes.k, n = sizes.n;
        SCOPED_TRACE(std::string(to_string(dtype)) + (with_zero ? " with zero points " : " ") +
                     std::to_string(k) + "x" + std::to_string(n));
        const GroupedWeight weight(random_, sizes, dtype, with_zero == (n % 2 == 0), with_zero);
        const auto packed = pack(weight.args);
        constexpr int64_t kRows = 70;
        const auto a = random_floats(random_, kRows * (k + 1));
        const auto bias = random_floats(random_, n);
        const auto residual = random_floats(random_, kRows * (n + 2));
        std::vector<float> all(static_cast<std::size_t>(kRows * (n + 1)), kNan);
        for (int64_t r = 0; r < kRows; ++r) {
          for (int64_t j = 0; j < n; ++j) {
            all[static_cast<std::size_t>(r * (n + 1) + j)] =
                expected(a.data() + r * (k + 1), weight, j) + bias[static_cast<std::size_t>(j)] +
                residual[static_cast<std::size_t>(r * (n + 2) + j)];
          }
        }
        for (const int64_t m : {1, 2, 3, 4, 5, 8, 17, 70}) {
          for (ThreadPool* pool : {&one_, &three_}) {
            std::vector<float> c(static_cast<std::size_t>(m * (n + 1)), kNan);
            run({.m = m,
                 .n = n,
                 .k = k,
                 .a = a.data(),
                 .a_row = k + 1,
                 .packed_b = packed->get(),
                 .c = c.data(),
                 .c_row = n + 1,
                 .epilogue = {bias.data(), Activation::none, residual.data(), n + 2}},
                *pool);
            EXPECT_TRUE(same_bits(c.data(), all.data(), m * (n + 1))) << m << " rows";
          }
        }
      }
    }
  }
}

TEST_P(GemmInt4, ComputesSeveralProductsOfManyRowsTogether) {
  const int64_t m = 1100, k = 64;
  const GroupedWeight first(random_, {k, 20, 32}, Dtype::u4, true, true);
  const GroupedWeight second(random_, {k, 33, 64}, Dtype::i4, false, false);
  const auto one = pack(first.args);
  const auto two = pack(second.args);
  const auto a = random_floats(random_, m * k);
  std::vector<float> c(static_cast<std::size_t>(m * 20)), d(static_cast<std::size_t>(m * 33));
  Int4GemmArgs args{.m = m, .n = 20, .k = k, .a = a.data(), .a_row = k, .packed_b = one->get()};
  args.c = c.data();
  args.c_row = 20;
  Int4GemmArgs other = args;
  other.n = 33;
  other.packed_b = two->get();
  other.c = d.data();
  other.c_row = 33;
  args.also = &other;
  run(args, three_);
  for (const int64_t r : {int64_t{0}, int64_t{511}, int64_t{512}, m - 1}) {
    EXPECT_EQ(c[static_cast<std::size_t>(r * 20 + 7)], expected(a.data() + r * k, first, 7));
    EXPECT_EQ(d[static_cast<std::size_t>(r * 33 + 32)], expected(a.data() + r * k, second, 32));
  }
}

TEST_P(GemmInt4, ABlockThatIsNotFiniteGivesNan) {
  const int64_t m = 3, k = 96, n = 9;
  const GroupedWeight weight(random_, {k, n, 32}, Dtype::i4, false, false);
  const auto packed = pack(weight.args);
  auto a = random_floats(random_, m * k);
  a[40] = kNan;
  a[static_cast<std::size_t>(2 * k + 95)] = -kInfinity;
  std::vector<float> c(static_cast<std::size_t>(m * n));
  run({.m = m,
       .n = n,
       .k = k,
       .a = a.data(),
       .a_row = k,
       .packed_b = packed->get(),
       .c = c.data(),
       .c_row = n},
      one_);
  for (int64_t i = 0; i < m * n; ++i)
    EXPECT_EQ(std::isnan(c[static_cast<std::size_t>(i)]), i / n != 1) << i;
}

TEST_P(GemmInt4, TakesHalfAByteAWeightAndRefusesSizesThatOverflow) {
  PackGroupedArgs args{.k = 4096, .n = 4096, .group = 32};
  EXPECT_LE(kernels_.packed_bytes(args), 4096 * 4096 / 2 + 4096 * 128 * 4 + 64);
  args.k = args.n = int64_t{1} << 40;
  EXPECT_THROW(kernels_.packed_bytes(args), Error);
  EXPECT_THROW(kernels_.workspace(1 << 20, int64_t{1} << 61, 1), Error);
}

INSTANTIATE_TEST_SUITE_P(Cpu, GemmInt4, testing::ValuesIn(cpu_isas().begin(), cpu_isas().end()),
                         isa_name);

}  // namespace
}  // namespace tercel::kernels
