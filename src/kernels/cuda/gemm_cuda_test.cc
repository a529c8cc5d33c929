#include <algorithm>

#include "src/kernels/cuda/gemm_wgmma.h"
#include "src/kernels/cuda/test_support.h"

namespace tercel::kernels::cuda {
namespace {

struct Case {
  int64_t m, n, k;
  bool transposed = true;
  Activation activation = Activation::none;
  bool bias = true, residual = false, invariant = false;
  int64_t batch = 1;
  bool one_a = false;  // for the whole batch; each item has a bias of its own
};

enum class How { untuned, tuned, wgmma };

class GemmCuda : public FloatCudaTest {
 protected:
  // Columns of A and B padded by 8 elements, so that strides are not sizes.
  void check(const Case& c, How how = How::untuned) {
    const Dtype type = GetParam();
    const int64_t a_row = c.k + 8, b_row = (c.transposed ? c.k : c.n) + 8;
    const int64_t b_rows = c.transposed ? c.n : c.k;
    const Floats a(type, random(c.batch * c.m * a_row)), b(type, random(c.batch * b_rows * b_row));
    const Floats bias(type, random(c.batch * c.n)), residual(type, random(c.batch * c.m * c.n));
    const Floats out(type, c.batch * c.m * c.n);
    GemmArgs args{.type = type,
                  .m = c.m,
                  .n = c.n,
                  .k = c.k,
                  .a = a.get(),
                  .a_row = a_row,
                  .b = b.get(),
                  .b_transposed = c.transposed,
                  .b_row = b_row,
                  .c = out.get(),
                  .c_row = c.n,
                  .batch = c.batch,
                  .a_batch = c.one_a ? 0 : c.m * a_row,
                  .b_batch = b_rows * b_row,
                  .c_batch = c.m * c.n,
                  .batch_invariant = c.invariant};
    args.epilogue.activation = c.activation;
    if (c.bias) args.epilogue.bias = bias.get();
    if (c.one_a) args.epilogue.bias_batch = c.n;
    if (c.residual) {
      args.epilogue.residual = residual.get();
      args.epilogue.residual_row = c.n;
    }
    const DeviceArray scratch(GemmLibrary::scratch(args));
    args.scratch = scratch.get();
    args.scratch_bytes = scratch.bytes();
    if (how == How::tuned) library().tune(args, nullptr);
    if (how == How::wgmma) {
      ASSERT_TRUE(gemm_wgmma_takes(args));
      gemm_wgmma(args, nullptr);
    } else {
      library().gemm(args, nullptr);
    }
    const auto result = out.read();
    // All of a small product, some rows of a large one.
    for (int64_t i = 0; i < c.batch * c.m; i += std::max<int64_t>(1, c.batch * c.m / 37)) {
      for (int64_t j = 0; j < c.n; ++j) {
        double sum = 0, size = 0;
        const int64_t item = i / c.m;
        for (int64_t l = 0; l < c.k; ++l) {
          const int64_t at = item * b_rows * b_row + (c.transposed ? j * b_row + l : l * b_row + j);
          const double term = a.values[(c.one_a ? i % c.m : i) * a_row + l] * b.values[at];
          sum += term;
          size += std::fabs(term);
        }
        if (c.bias) sum += bias.values[(c.one_a ? item * c.n : 0) + j];
        double y = activated(c.activation, sum);
        if (c.residual) y += residual.values[i * c.n + j];
        ASSERT_NEAR(result[i * c.n + j], y,
                    2 * rounding(type) * (std::fabs(y) + std::fabs(sum) + 1) + 1e-6 * size)
            << c.m << "x" << c.n << "x" << c.k << " row " << i << " column " << j;
      }
    }
  }

  static GemmLibrary& library() {
    static GemmLibrary library;
    return library;
  }
};
TERCEL_FLOAT_CUDA_SUITE(GemmCuda);

TEST_P(GemmCuda, OddAndSmallSizes) {
  for (const bool transposed : {false, true}) {
    check({1, 1, 1, transposed});
    check({3, 5, 7, transposed});
    check({65, 72, 40, transposed});
    check({128, 136, 200, transposed});
    check({33, 257, 130, transposed, Activation::gelu});
  }
}

TEST_P(GemmCuda, Epilogues) {
  for (const auto activation :
       {Activation::none, Activation::relu, Activation::gelu, Activation::gelu_tanh,
        Activation::silu, Activation::tanh, Activation::sigmoid}) {
    for (const bool residual : {false, true}) {
      check({70, 96, 64, true, activation, true, residual});
      check({70, 96, 64, false, activation, false, residual});
      check({1500, 1024, 64, true, activation, true, residual});
    }
  }
}

TEST_P(GemmCuda, BatchesAndLargeProducts) {
  check({48, 80, 64, true, Activation::none, false, false, false, 5});
  check({48, 80, 64, false, Activation::gelu, true, true, false, 3});
  for (const How how : {How::untuned, How::tuned}) {
    check({128, 768, 768, true, Activation::none, true, false, false, 3, true}, how);
    check({40, 72, 96, false, Activation::gelu, true, false, false, 3, true}, how);
    check({1500, 512, 256, true, Activation::none, true, false, false, 3, true}, how);
    check({1500, 512, 256, false, Activation::relu, true, false, false, 2, true}, how);
  }
  check({2048, 1536, 512});
  check({128, 768, 3072, true, Activation::none, true, true});
}

TEST_P(GemmCuda, TunedChoicesGiveTheSame) {
  check({128, 768, 768, true, Activation::gelu}, How::tuned);
  check({1024, 768, 768, true, Activation::gelu}, How::tuned);
  check({4096, 1536, 384, true, Activation::gelu}, How::tuned);
  const std::string saved = library().save();
  EXPECT_GE(GemmLibrary().load(saved), 2);
}

TEST_P(GemmCuda, HopperTiles) {
  if (GetParam() == Dtype::f32) GTEST_SKIP() << "wgmma tiles are of f16 and bf16";
  if (!has_hopper_kernels()) GTEST_SKIP() << "wgmma needs compute capability 9.0 and sm_90a";
  for (const auto activation : {Activation::none, Activation::gelu}) {
    for (const bool residual : {false, true}) {
      check({1, 8, 8, true, activation, true, residual}, How::wgmma);
      check({128, 128, 64, true, activation, false, residual}, How::wgmma);
      check({130, 72, 200, true, activation, true, residual}, How::wgmma);
      check({257, 392, 1000, true, activation, true, residual}, How::wgmma);
      check({700, 264, 136, true, activation, true, residual, false, 3}, How::wgmma);
      check({300, 136, 72, true, activation, true, residual, false, 5, true}, How::wgmma);
    }
  }
  // More tiles than one turn of all multiprocessors has.
  check({9000, 1288, 328, true, Activation::gelu}, How::wgmma);
}

TEST_P(GemmCuda, EmptyProducts) {
  check({0, 8, 8});
  check({8, 0, 8});
  check({8, 16, 0, true, Activation::gelu, true, true});
}

TEST_P(GemmCuda, ARowsBitsDoNotDependOnTheBatch) {
  if (GetParam() == Dtype::f32) GTEST_SKIP() << "batch_invariant is for f16 and bf16";
  const int64_t n = 96, k = 320;
  const Floats a(GetParam(), random(500 * k)), b(GetParam(), random(n * k));
  std::vector<double> alone;
  for (const int64_t m : {1, 130, 500}) {
    const Floats out(GetParam(), m * n);
    GemmArgs args{.type = GetParam(),
                  .m = m,
                  .n = n,
                  .k = k,
                  .a = a.get(),
                  .a_row = k,
                  .b = b.get(),
                  .b_transposed = true,
                  .b_row = k,
                  .c = out.get(),
                  .c_row = n,
                  .batch_invariant = true};
    library().gemm(args, nullptr);
    auto first = out.read();
    first.resize(n);
    if (alone.empty()) alone = first;
    EXPECT_EQ(first, alone) << m;
  }
}

TEST_P(GemmCuda, ProductAndNorm) {
  const Dtype type = GetParam();
  for (const bool rms : {false, true}) {
    for (const auto& [m, n, k] :
         {std::array<int64_t, 3>{128, 768, 3072}, {7, 384, 1536}, {3000, 256, 128}, {5, 40, 24}}) {
      const Floats a(type, random(m * k)), b(type, random(n * k, -0.1, 0.1));
      const Floats bias(type, random(n)), residual(type, random(m * n));
      const Floats scale(type, random(n)), shift(type, random(n)), out(type, m * n);
      GemmNormArgs args;
      args.gemm = {.type = type,
                   .m = m,
                   .n = n,
                   .k = k,
                   .a = a.get(),
                   .a_row = k,
                   .b = b.get(),
                   .b_transposed = true,
                   .b_row = k};
      args.gemm.epilogue = {bias.get(), Activation::none, residual.get(), n};
      args.rms = rms;
      args.scale = scale.get();
      args.shift = shift.get();
      args.y = out.get();
      args.y_row = n;
      const DeviceArray scratch(GemmLibrary::scratch(args));
      args.gemm.scratch = scratch.get();
      args.gemm.scratch_bytes = scratch.bytes();
      for (const bool tuned : {false, true}) {
        if (tuned) library().tune(args, nullptr);
        library().gemm_norm(args, nullptr);
        const auto result = out.read();
        for (int64_t i = 0; i < m; i += std::max<int64_t>(1, m / 11)) {
          std::vector<double> row(n);
          double mean = 0, squares = 0;
          for (int64_t j = 0; j < n; ++j) {
            row[j] = bias.values[j] + residual.values[i * n + j];
            for (int64_t l = 0; l < k; ++l) row[j] += a.values[i * k + l] * b.values[j * k + l];
            mean += rms ? 0 : row[j] / n;
          }
          for (const double x : row) squares += (x - mean) * (x - mean) / n;
          for (int64_t j = 0; j < n; ++j) {
            const double y = (row[j] - mean) / std::sqrt(squares + 1e-5) * scale.values[j] +
                             (rms ? 0 : shift.values[j]);
            ASSERT_NEAR(result[i * n + j], y, 6 * rounding(type) + 1e-5)
                << m << "x" << n << " " << i;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace tercel::kernels::cuda
