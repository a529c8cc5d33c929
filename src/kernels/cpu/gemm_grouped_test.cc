#include <algorithm>

#include "src/base/packed.h"
#include "src/kernels/cpu/test_support.h"
#include "tercel/error.h"

namespace tercel::kernels {
namespace {

using GroupedGemm = PerIsa;

struct GroupedCase {
  int64_t k, n, group;
};

// Random integer weights, [K, N] or [N, K], and what they stand for.
struct GroupedWeight {
  GroupedWeight(std::mt19937& random, const GroupedCase& sizes, Dtype dtype, bool transposed,
                bool with_zero)
      : bytes(bytes_of(dtype, sizes.k * sizes.n)), values() {
    const auto& [k, n, group] = sizes;
    const int bits = bits_of(dtype);
    const bool is_signed = dtype == Dtype::i4 || dtype == Dtype::i8;
    const int low = is_signed ? -(1 << (bits - 1)) : 0;
    std::uniform_int_distribution<int> uniform(low, low + (1 << bits) - 1);
    const int64_t groups = (k + group - 1) / group;
    scale = random_floats(random, groups * n, 0.001F, 0.1F);
    if (with_zero)
      std::generate_n(std::back_inserter(zero), groups * n, [&] { return uniform(random); });
    values.resize(static_cast<std::size_t>(k * n));
    args = {.k = k, .n = n, .b = bytes.data(), .source = dtype, .group = group};
    args.k_stride = transposed ? 1 : n;
    args.n_stride = transposed ? k : 1;
    args.scale = scale.data();
    args.zero = with_zero ? zero.data() : nullptr;
    args.scale_group = transposed ? 1 : n;
    args.scale_n = transposed ? groups : 1;
    for (int64_t i = 0; i < k; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        const int q = uniform(random);
        const int64_t at = i * args.k_stride + j * args.n_stride;
        set_packed_element(bytes.data(), at, bits, static_cast<uint8_t>(q));
        const auto g = static_cast<std::size_t>(i / group * args.scale_group + j * args.scale_n);
        const int shifted = q - (with_zero ? zero[g] : 0);
        values[static_cast<std::size_t>(i * n + j)] = static_cast<float>(shifted) * scale[g];
      }
    }
  }

  std::vector<uint8_t> bytes;
  std::vector<float> scale;
  std::vector<int32_t> zero;
  std::vector<float> values;  // [K, N]
  PackGroupedArgs args;
};

Dtype packed_as(Dtype dtype) { return bits_of(dtype) == 4 ? Dtype::i4 : Dtype::i8; }

TEST_P(GroupedGemm, MultipliesByWhatTheWeightsStandFor) {
  // Two columns of 1, -2, 3, … in groups of 8, with scales 0.5 and 2 for the first, 1 for the
  // other.
  const int64_t k = 16, n = 2;
  std::vector<uint8_t> bytes(16);
  float first = 0, second = 0;
  const std::vector<float> scale{0.5F, 1, 2, 1};
  std::vector<float> a(16);
  for (int64_t i = 0; i < k; ++i) {
    const auto q = static_cast<int>(i % 7 + 1) * (i % 2 == 0 ? 1 : -1);
    set_packed_element(bytes.data(), i * n, 4, static_cast<uint8_t>(q));
    set_packed_element(bytes.data(), i * n + 1, 4, static_cast<uint8_t>(-8));
    a[static_cast<std::size_t>(i)] = static_cast<float>(i);
    first += static_cast<float>(i * q) * (i < 8 ? 0.5F : 2);
    second += static_cast<float>(i * -8);
  }
  PackGroupedArgs pack{.k = k, .n = n, .b = bytes.data(), .k_stride = n, .group = 8};
  pack.scale = scale.data();
  pack.scale_group = n;
  pack.scale_n = 1;
  const Memory packed(kernels_.gemm.grouped_bytes(pack));
  pack.out = packed.get();
  kernels_.gemm.pack_grouped(pack, one_);
  std::vector<float> c(2);
  GemmArgs args{.m = 1, .n = n, .k = k, .a = a.data(), .a_row = k, .packed_b = packed.get()};
  args.packed = Dtype::i4;
  args.c = c.data();
  args.c_row = n;
  kernels_.gemm.gemm(args, one_);
  EXPECT_EQ(c, (std::vector<float>{first, second}));
}

TEST_P(GroupedGemm, HasTheBitsOfTheProductByDequantizedWeights) {
  const GroupedCase cases[] = {{64, 33, 16},  {1000, 70, 32}, {400, 31, 400},
                               {37, 130, 64}, {385, 16, 128}, {1, 1, 32},
                               {900, 64, 8},  {0, 20, 32},    {50, 0, 16}};
  for (const GroupedCase& sizes : cases) {
    for (const Dtype dtype : {Dtype::i4, Dtype::u4, Dtype::i8, Dtype::u8}) {
      for (const bool transposed : {false, true}) {
        for (const bool with_zero : {false, true}) {
          const int64_t k = sizes.k, n = sizes.n;
          SCOPED_TRACE(std::string(to_string(dtype)) + (transposed ? " transposed " : " ") +
                       std::to_string(k) + "x" + std::to_string(n));
          GroupedWeight weight(random_, sizes, dtype, transposed, with_zero);
          const Memory packed(kernels_.gemm.grouped_bytes(weight.args));
          weight.args.out = packed.get();
          kernels_.gemm.pack_grouped(weight.args, three_);
          const Memory plain(kernels_.gemm.packed_bytes(k, n, Dtype::f32));
          kernels_.gemm.pack_b(
              {.k = k, .n = n, .b = weight.values.data(), .k_stride = n, .out = plain.get()}, one_);
          constexpr int64_t kRows = 160;
          const auto a = random_floats(random_, kRows * (k + 1));
          const auto bias = random_floats(random_, n);
          const auto residual = random_floats(random_, kRows * (n + 2));
          const auto run = [&](int64_t m, Dtype type, const void* b, ThreadPool& pool) {
            std::vector<float> c(static_cast<std::size_t>(m * (n + 1)), kNan);
            const Memory workspace(kernels_.gemm.gemm_workspace(m, pool.size()));
            GemmArgs args{.m = m, .n = n, .k = k, .a = a.data(), .a_row = k + 1, .packed_b = b};
            args.packed = type;
            args.c = c.data();
            args.c_row = n + 1;
            args.epilogue = {bias.data(), Activation::gelu, residual.data(), n + 2};
            args.workspace = workspace.get();
            kernels_.gemm.gemm(args, pool);
            return c;
          };
          const auto expected = run(kRows, Dtype::f32, plain.get(), one_);
          for (const int64_t m :
               {int64_t{1}, int64_t{2}, int64_t{3}, int64_t{4}, int64_t{5}, int64_t{17}, kRows}) {
            for (ThreadPool* pool : {&one_, &three_}) {
              const auto c = run(m, packed_as(dtype), packed.get(), *pool);
              EXPECT_TRUE(same_bits(c.data(), expected.data(), m * (n + 1))) << m << " rows";
            }
          }
        }
      }
    }
  }
}

TEST_P(GroupedGemm, ReadsATransposedAAndSeveralProductsTogether) {
  const int64_t m = 3, k = 100;
  GroupedWeight first(random_, {k, 40, 32}, Dtype::u4, true, true);
  GroupedWeight second(random_, {k, 65, 100}, Dtype::i4, false, false);
  const Memory one(kernels_.gemm.grouped_bytes(first.args));
  const Memory two(kernels_.gemm.grouped_bytes(second.args));
  first.args.out = one.get();
  second.args.out = two.get();
  kernels_.gemm.pack_grouped(first.args, three_);
  kernels_.gemm.pack_grouped(second.args, three_);
  const auto a = random_floats(random_, m * k);
  std::vector<float> turned(a.size());
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < k; ++j)
      turned[static_cast<std::size_t>(j * m + i)] = a[static_cast<std::size_t>(i * k + j)];
  }
  const auto run = [&](bool transposed, bool together, ThreadPool& pool) {
    std::vector<float> c(static_cast<std::size_t>(m * 105), kNan);
    const Memory workspace(kernels_.gemm.gemm_workspace(m, pool.size()));
    GemmArgs args{.m = m, .n = 40, .k = k, .a = (transposed ? turned : a).data()};
    args.a_row = transposed ? 1 : k;
    args.a_column = transposed ? m : 1;
    args.packed_b = one.get();
    args.packed = Dtype::i4;
    args.c = c.data();
    args.c_row = 40;
    args.workspace = workspace.get();
    GemmArgs other = args;
    other.n = 65;
    other.packed_b = two.get();
    other.c = c.data() + m * 40;
    other.c_row = 65;
    if (together) args.also = &other;
    kernels_.gemm.gemm(args, pool);
    if (!together) kernels_.gemm.gemm(other, pool);
    return c;
  };
  const auto expected = run(false, false, one_);
  for (const bool transposed : {false, true}) {
    for (ThreadPool* pool : {&one_, &three_}) {
      const auto c = run(transposed, true, *pool);
      EXPECT_TRUE(same_bits(c.data(), expected.data(), m * 105));
    }
  }
}

TEST_P(GroupedGemm, TakesHalfAByteAWeightAndRefusesSizesThatOverflow) {
  PackGroupedArgs args{.k = 4096, .n = 4096, .group = 32};
  EXPECT_LE(kernels_.gemm.grouped_bytes(args), 4096 * 4096 / 2 + 4096 * 128 * 4 + 64);
  args.k = args.n = int64_t{1} << 40;
  EXPECT_THROW(kernels_.gemm.grouped_bytes(args), Error);
}

INSTANTIATE_TEST_SUITE_P(Cpu, GroupedGemm, testing::ValuesIn(vector_isas()), isa_name);

}  // namespace
}  // namespace tercel::kernels
