// Products of one A in one step, and rows that are normalised behind a product: the same bits as
// product by product and LayerNormalization by itself, in every family of products.

#include "src/kernels/cpu/test_support.h"

namespace tercel::kernels {
namespace {

constexpr int64_t kWidths[] = {40, 0, 96, 7};

struct Factors {
  int64_t m, k;
  std::vector<float> a;
  std::vector<std::vector<float>> b;  // of kWidths
  std::vector<float> bias, scale, residual;

  Factors(int64_t rows, int64_t depth, std::mt19937& random) : m(rows), k(depth) {
    a = random_floats(random, m * k);
    for (const int64_t n : kWidths) b.push_back(random_floats(random, k * n));
    bias = random_floats(random, 96);
    scale = random_floats(random, 96);
    residual = random_floats(random, m * 96);
  }
};

using Results = std::vector<std::vector<float>>;

// What all families have in common. `run` takes arguments with the sizes, C and epilogues of some
// products, by their numbers; the first of the epilogues normalises.
class Together : public PerIsa {
 protected:
  template <class Run>
  void check(int64_t m, int64_t k, const Run& run) {
    SCOPED_TRACE(testing::Message() << m << " rows, k = " << k);
    const Factors factors(m, k, random_);
    std::vector<std::size_t> all{0, 1, 2, 3};
    const Results together = run(factors, all, one_, true);
    const Results shared = run(factors, all, three_, true);
    for (std::size_t i = 0; i < all.size(); ++i) {
      Results alone = run(factors, {i}, one_, false);
      const int64_t n = kWidths[i];
      if (i == 2) normalize(factors, alone[0]);
      EXPECT_TRUE(same_bits(together[i].data(), alone[0].data(), m * n)) << "product " << i;
      EXPECT_TRUE(same_bits(shared[i].data(), alone[0].data(), m * n)) << "product " << i;
    }
  }

  void normalize(const Factors& factors, std::vector<float>& c) {
    NormArgs args{.rows = factors.m, .columns = kWidths[2], .x = c.data()};
    args.norm = {factors.scale.data(), factors.bias.data(), 1e-6F};
    args.y = c.data();
    kernels_.reduce.layer_norm(args, one_);
  }

  static GemmEpilogue epilogue(const Factors& factors, std::size_t i, bool normalized) {
    GemmEpilogue result;
    result.bias = factors.bias.data();
    if (i != 2) return result;
    result.residual = factors.residual.data();
    result.residual_stride = kWidths[2];
    result.normalize = normalized;
    result.norm = {factors.scale.data(), factors.bias.data(), 1e-6F};
    return result;
  }

  template <class Check>
  void for_sizes(const Check& check_sizes) {
    for (const auto& [m, k] : {std::pair<int64_t, int64_t>{1, 20}, {3, 900}, {16, 384}, {150, 70}})
      check_sizes(m, k);
  }
};

TEST_P(Together, F32) {
  for (const bool with_memory : {true, false}) {
    for_sizes([&](int64_t m, int64_t k) {
      check(m, k,
            [&](const Factors& factors, const std::vector<std::size_t>& which, ThreadPool& pool,
                bool normalized) {
              std::vector<std::unique_ptr<Memory>> packed;
              std::vector<GemmArgs> args(which.size());
              Results c;
              const Memory workspace(kernels_.gemm.gemm_workspace(m, pool.size()));
              for (std::size_t i = 0; i < which.size(); ++i) {
                const int64_t n = kWidths[which[i]];
                packed.push_back(
                    std::make_unique<Memory>(kernels_.gemm.packed_bytes(k, n, Dtype::f32)));
                PackBArgs pack{.k = k, .n = n, .b = factors.b[which[i]].data(), .k_stride = n};
                pack.out = packed[i]->get();
                kernels_.gemm.pack_b(pack, one_);
                c.emplace_back(static_cast<std::size_t>(m * n), kNan);
                args[i] = {.m = m, .n = n, .k = k, .a = factors.a.data(), .a_row = k};
                args[i].packed_b = packed[i]->get();
                args[i].c = c[i].data();
                args[i].c_row = n;
                args[i].epilogue = epilogue(factors, which[i], normalized);
                args[i].workspace = with_memory ? workspace.get() : nullptr;
                if (i > 0) args[i - 1].also = &args[i];
              }
              kernels_.gemm.gemm(args[0], pool);
              return c;
            });
    });
  }
}

TEST_P(Together, Bytes) {
  const GemmInt8Kernels& kernels = gemm_int8_kernels(GetParam());
  for_sizes([&](int64_t m, int64_t k) {
    check(m, k,
          [&](const Factors& factors, const std::vector<std::size_t>& which, ThreadPool& pool,
              bool normalized) {
            std::vector<std::unique_ptr<Memory>> packed;
            std::vector<Int8GemmArgs> args(which.size());
            Results c;
            const Memory workspace(kernels.workspace(m, k, pool.size()));
            for (std::size_t i = 0; i < which.size(); ++i) {
              const int64_t n = kWidths[which[i]];
              std::vector<int8_t> b;
              for (const float value : factors.b[which[i]])
                b.push_back(static_cast<int8_t>(value * 127));
              const std::vector<float> scale(static_cast<std::size_t>(n), 0.01F);
              packed.push_back(std::make_unique<Memory>(kernels.packed_bytes(k, n)));
              kernels.pack_b({.k = k,
                              .n = n,
                              .b = b.data(),
                              .k_stride = n,
                              .scale = scale.data(),
                              .out = packed[i]->get()},
                             one_);
              c.emplace_back(static_cast<std::size_t>(m * n), kNan);
              args[i] = {.m = m, .n = n, .k = k, .a = factors.a.data(), .a_row = k};
              args[i].packed_b = packed[i]->get();
              args[i].c = c[i].data();
              args[i].c_row = n;
              args[i].epilogue = epilogue(factors, which[i], normalized);
              args[i].workspace = workspace.get();
              if (i > 0) args[i - 1].also = &args[i];
            }
            kernels.gemm(args[0], pool);
            return c;
          });
  });
}

TEST_P(Together, Bf16) {
  const GemmBf16Kernels* kernels = gemm_bf16_kernels(GetParam());
  if (kernels == nullptr) GTEST_SKIP() << to_string(GetParam()) << " does not multiply bf16";
  for_sizes([&](int64_t m, int64_t k) {
    check(m, k,
          [&](const Factors& factors, const std::vector<std::size_t>& which, ThreadPool& pool,
              bool normalized) {
            std::vector<std::unique_ptr<Memory>> packed;
            std::vector<GemmBf16Args> args(which.size());
            Results c;
            for (std::size_t i = 0; i < which.size(); ++i) {
              const int64_t n = kWidths[which[i]];
              packed.push_back(std::make_unique<Memory>(kernels->packed_bytes(k, n)));
              PackBArgs pack{.k = k, .n = n, .b = factors.b[which[i]].data(), .k_stride = n};
              pack.packed = Dtype::bf16;
              pack.out = packed[i]->get();
              kernels->pack_b(pack, one_);
              c.emplace_back(static_cast<std::size_t>(m * n), kNan);
              args[i] = {.m = m, .n = n, .k = k, .a = factors.a.data(), .a_row = k};
              args[i].packed_b = packed[i]->get();
              args[i].c = c[i].data();
              args[i].c_row = n;
              args[i].epilogue = epilogue(factors, which[i], normalized);
              if (i > 0) args[i - 1].also = &args[i];
            }
            kernels->gemm(args[0], pool);
            return c;
          });
  });
}

INSTANTIATE_TEST_SUITE_P(Cpu, Together, testing::ValuesIn(cpu_isas()), isa_name);

}  // namespace
}  // namespace tercel::kernels
