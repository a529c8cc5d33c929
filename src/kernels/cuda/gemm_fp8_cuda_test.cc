#include <algorithm>

#include "src/base/small_float.h"
#include "src/kernels/cuda/gemm_wgmma.h"
#include "src/kernels/cuda/test_support.h"

namespace tercel::kernels::cuda {
namespace {

enum class How { untuned, tuned, wgmma };

// Rows of E4M3 with their scales.
struct Fp8Rows {
  DeviceArray elements, scales;

  Fp8Rows(const Floats& x, int64_t rows, int64_t columns)
      : elements(static_cast<std::size_t>(rows * columns)),
        scales(static_cast<std::size_t>(rows) * sizeof(float)) {
    quantize_fp8_rows(
        {x.type, rows, columns, x.get(), columns, elements.get(), scales.get<float>()}, nullptr);
  }
  std::vector<double> read() const {
    const auto codes = elements.values<uint8_t>();
    const auto factors = scales.values<float>();
    const std::size_t columns = codes.size() / factors.size();
    std::vector<double> values;
    for (std::size_t i = 0; i < codes.size(); ++i)
      values.push_back(small_float_value(Dtype::f8e4m3fn, codes[i]) * factors[i / columns]);
    return values;
  }
};

using Fp8RowsCuda = FloatCudaTest;
TERCEL_FLOAT_CUDA_SUITE(Fp8RowsCuda);

TEST_P(Fp8RowsCuda, AreActivatedAndRounded) {
  const Dtype type = GetParam();
  for (const auto activation : {Activation::none, Activation::gelu, Activation::relu}) {
    for (const int64_t columns : {1, 13, 16, 384, 768, 3072, 8200, 40000}) {
      const int64_t rows = columns > 1000 ? 3 : 300;
      const Floats x(type, random(rows * columns, -3, 3)), bias(type, random(columns));
      const DeviceArray y(static_cast<std::size_t>(rows * columns));
      const DeviceArray scales(static_cast<std::size_t>(rows) * sizeof(float));
      quantize_fp8_rows({type, rows, columns, x.get(), columns, y.get(), scales.get<float>(),
                         bias.get(), activation},
                        nullptr);
      const auto codes = y.values<uint8_t>();
      const auto factors = scales.values<float>();
      for (int64_t r = 0; r < rows; ++r) {
        std::vector<double> row;
        double most = 0;
        for (int64_t c = 0; c < columns; ++c) {
          row.push_back(activated(activation, x.values[r * columns + c] + bias.values[c]));
          most = std::max(most, std::fabs(row.back()));
        }
        ASSERT_NEAR(factors[r], most > 0 ? most / 448 : 1, 1e-5) << columns;
        // Half a step of 3 bits, or of the least exponent.
        for (int64_t c = 0; c < columns; ++c)
          ASSERT_NEAR(small_float_value(Dtype::f8e4m3fn, codes[r * columns + c]) * factors[r],
                      row[c], std::fabs(row[c]) / 15.9 + most / 448 / 1000 + 1e-6)
              << columns << " row " << r << " column " << c;
      }
    }
  }
}

TEST_P(Fp8RowsCuda, AreZerosOrTheirLargestIs448) {
  const Floats x(GetParam(), {0, 0, 0, 2, -8, 1});
  const Fp8Rows rows(x, 2, 3);
  EXPECT_EQ(rows.scales.values<float>(), (std::vector<float>{1, 8.0F / 448}));
  EXPECT_EQ(rows.elements.values<uint8_t>(),  // 0, 0, 0, 112, -448, 56
            (std::vector<uint8_t>{0, 0, 0, 0x6e, 0xfe, 0x66}));
}

class Fp8GemmCuda : public FloatCudaTest {
 protected:
  // Against the product of what A and B were rounded to.
  void check_fp8(int64_t m, int64_t n, int64_t k, int64_t batch, GemmEpilogue epilogue, How how) {
    const Dtype type = GetParam();
    const Fp8Rows a(Floats(type, random(m * k)), m, k),
        b(Floats(type, random(batch * n * k)), batch * n, k);
    const auto left = a.read(), right = b.read();
    const Floats bias(type, random(batch * n)), residual(type, random(batch * m * n));
    const Floats out(type, batch * m * n);
    Fp8GemmArgs args;
    args.gemm = {.type = type,
                 .m = m,
                 .n = n,
                 .k = k,
                 .a = a.elements.get(),
                 .b = b.elements.get(),
                 .c = out.get(),
                 .c_row = n,
                 .epilogue = epilogue,
                 .batch = batch,
                 .c_batch = m * n};
    args.gemm.epilogue.bias = bias.get();
    args.gemm.epilogue.bias_batch = batch > 1 ? n : 0;
    const bool adds = epilogue.residual_row > 0;
    if (adds) args.gemm.epilogue.residual = residual.get();
    args.a_scales = a.scales.get<float>();
    args.b_scales = b.scales.get<float>();
    const DeviceArray scratch(GemmLibrary::scratch(args));
    args.gemm.scratch = scratch.get();
    args.gemm.scratch_bytes = scratch.bytes();
    if (how == How::tuned) library().tune(args, nullptr);
    if (how == How::wgmma)
      gemm_wgmma(args, nullptr);
    else
      library().gemm_fp8(args, nullptr);
    const auto result = out.read();
    for (int64_t i = 0; i < batch * m; i += std::max<int64_t>(1, batch * m / 37)) {
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0, size = 0;
        for (int64_t l = 0; l < k; ++l) {
          const double term = left[i % m * k + l] * right[(i / m * n + j) * k + l];
          sum += term;
          size += std::fabs(term);
        }
        sum += bias.values[i / m * n + j];
        double y = activated(epilogue.activation, sum);
        if (adds) y += residual.values[i * n + j];
        // The tensor cores keep 14 bits of a sum of fp8.
        ASSERT_NEAR(result[i * n + j], y, 4 * rounding(type) * (std::fabs(sum) + 1) + 2e-4 * size)
            << m << "x" << n << "x" << k << " row " << i << " column " << j;
      }
    }
  }

  static GemmLibrary& library() {
    static GemmLibrary library;
    return library;
  }

  void SetUp() override {
    FloatCudaTest::SetUp();
    if (IsSkipped()) return;
    if (GetParam() == Dtype::f32) GTEST_SKIP() << "products of f8e4m3fn give f16 or bf16";
    if (compute_capability() != 90) GTEST_SKIP() << "compute capability is not 9.0";
  }
};
TERCEL_FLOAT_CUDA_SUITE(Fp8GemmCuda);

TEST_P(Fp8GemmCuda, Products) {
  for (const How how : {How::untuned, How::tuned, How::wgmma}) {
    if (how == How::wgmma && !has_hopper_kernels()) continue;  // not compiled for sm_90a
    for (const auto activation : {Activation::none, Activation::gelu}) {
      for (const int64_t residual_row : {0, 1}) {
        const auto check = [&](int64_t m, int64_t n, int64_t k, int64_t batch) {
          check_fp8(m, n, k, batch, {.activation = activation, .residual_row = residual_row * n},
                    how);
        };
        check(1, 16, 16, 1);
        check(100, 160, 256, 1);
        check(130, 144, 400, 1);
        check(700, 272, 144, 3);
        check(2000, 768, 768, 3);
      }
    }
  }
}

}  // namespace
}  // namespace tercel::kernels::cuda
