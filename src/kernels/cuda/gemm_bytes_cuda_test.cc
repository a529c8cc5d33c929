#include <algorithm>

#include "src/base/small_float.h"
#include "src/kernels/cuda/gemm_wgmma.h"
#include "src/kernels/cuda/test_support.h"

namespace tercel::kernels::cuda {
namespace {

enum class How { untuned, tuned, wgmma };

constexpr Dtype kBytes[] = {Dtype::f8e4m3fn, Dtype::i8};

double largest_of(Dtype bytes) { return bytes == Dtype::i8 ? 127 : 448; }

double value_of(Dtype bytes, uint8_t code) {
  return bytes == Dtype::i8 ? static_cast<int8_t>(code) : small_float_value(bytes, code);
}

// Rows of bytes with their scales.
struct ByteRows {
  Dtype dtype;
  DeviceArray elements, scales;

  ByteRows(Dtype bytes, const Floats& x, int64_t rows, int64_t columns)
      : dtype(bytes),
        elements(static_cast<std::size_t>(rows * columns)),
        scales(static_cast<std::size_t>(rows) * sizeof(float)) {
    quantize_rows(
        {bytes, x.type, rows, columns, x.get(), columns, elements.get(), scales.get<float>()},
        nullptr);
  }
  std::vector<double> read() const {
    const auto codes = elements.values<uint8_t>();
    const auto factors = scales.values<float>();
    const std::size_t columns = codes.size() / factors.size();
    std::vector<double> values;
    for (std::size_t i = 0; i < codes.size(); ++i)
      values.push_back(value_of(dtype, codes[i]) * factors[i / columns]);
    return values;
  }
};

using QuantizeRowsCuda = FloatCudaTest;
TERCEL_FLOAT_CUDA_SUITE(QuantizeRowsCuda);

TEST_P(QuantizeRowsCuda, AreRounded) {
  for (const Dtype bytes : kBytes) {
    for (const int64_t columns : {1, 13, 16, 384, 768, 3072, 8200, 40000}) {
      for (const int64_t rows : {int64_t{3}, columns > 1000 ? int64_t{7} : int64_t{3000}}) {
        const Floats x(GetParam(), random(rows * columns, -3, 3));
        const ByteRows rounded(bytes, x, rows, columns);
        const auto factors = rounded.scales.values<float>();
        const auto values = rounded.read();
        for (int64_t r = 0; r < rows; ++r) {
          double most = 0;
          for (int64_t c = 0; c < columns; ++c)
            most = std::max(most, std::fabs(double{x.values[r * columns + c]}));
          ASSERT_NEAR(factors[r], most > 0 ? most / largest_of(bytes) : 1, 1e-5) << columns;
          // Half a step: of 127 ones, or of 3 bits, or of the least exponent.
          for (int64_t c = 0; c < columns; ++c) {
            const double exact = x.values[r * columns + c];
            const double step = bytes == Dtype::i8 ? most / 127 * 0.501
                                                   : std::fabs(exact) / 15.9 + most / 448 / 1000;
            ASSERT_NEAR(values[r * columns + c], exact, step + 1e-6)
                << to_string(bytes) << ", " << columns << " row " << r << " column " << c;
          }
        }
      }
    }
  }
}

TEST_P(QuantizeRowsCuda, AreZerosOrTheirLargestIsTheLargestByte) {
  const Floats x(GetParam(), {0, 0, 0, 2, -8, 1});
  const ByteRows fp8(Dtype::f8e4m3fn, x, 2, 3), int8(Dtype::i8, x, 2, 3);
  EXPECT_EQ(fp8.scales.values<float>(), (std::vector<float>{1, 8.0F / 448}));
  EXPECT_EQ(fp8.elements.values<uint8_t>(),  // 0, 0, 0, 112, -448, 56
            (std::vector<uint8_t>{0, 0, 0, 0x6e, 0xfe, 0x66}));
  EXPECT_EQ(int8.scales.values<float>(), (std::vector<float>{1, 8.0F / 127}));
  EXPECT_EQ(int8.elements.values<int8_t>(), (std::vector<int8_t>{0, 0, 0, 32, -127, 16}));
}

class ByteGemmCuda : public FloatCudaTest {
 protected:
  // Against the product of what A and B were rounded to.
  void check(Dtype factors, int64_t m, int64_t n, int64_t k, int64_t batch, GemmEpilogue epilogue,
             How how) {
    const Dtype type = GetParam();
    const ByteRows a(factors, Floats(type, random(m * k)), m, k),
        b(factors, Floats(type, random(batch * n * k)), batch * n, k);
    const auto left = a.read(), right = b.read();
    const Floats bias(type, random(batch * n)), residual(type, random(batch * m * n));
    const Floats out(type, batch * m * n);
    ByteGemmArgs args;
    args.factors = factors;
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
      library().gemm_bytes(args, nullptr);
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
        const double kept = factors == Dtype::i8 ? 1e-6 : 2e-4;
        ASSERT_NEAR(result[i * n + j], y, 4 * rounding(type) * (std::fabs(sum) + 1) + kept * size)
            << to_string(factors) << " " << m << "x" << n << "x" << k << " row " << i << " column "
            << j;
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
    if (GetParam() == Dtype::f32) GTEST_SKIP() << "products of bytes give f16 or bf16";
    if (compute_capability() != 90) GTEST_SKIP() << "compute capability is not 9.0";
  }
};
TERCEL_FLOAT_CUDA_SUITE(ByteGemmCuda);

TEST_P(ByteGemmCuda, Products) {
  for (const Dtype factors : kBytes) {
    for (const How how : {How::untuned, How::tuned, How::wgmma}) {
      const bool wgmma = how == How::wgmma || factors == Dtype::i8;
      if (wgmma && !has_hopper_kernels()) continue;  // not compiled for sm_90a
      for (const auto activation : {Activation::none, Activation::gelu}) {
        for (const int64_t residual_row : {0, 1}) {
          const auto with = [&](int64_t m, int64_t n, int64_t k, int64_t batch) {
            const GemmEpilogue epilogue{.activation = activation, .residual_row = residual_row * n};
            check(factors, m, n, k, batch, epilogue, how);
          };
          with(1, 16, 16, 1);
          with(100, 160, 256, 1);
          with(130, 144, 400, 1);
          with(700, 272, 144, 3);
          with(2000, 768, 768, 3);
        }
      }
    }
  }
}

}  // namespace
}  // namespace tercel::kernels::cuda
