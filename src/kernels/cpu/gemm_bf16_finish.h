#pragma once
// From the sums of a tile to C. Only for sources of tercel_isa_sources with AVX512_BF16.

#include "src/kernels/cpu/gemm.h"
#include "src/kernels/cpu/vmath.h"

TERCEL_ISA_BEGIN

// bf16 from f32 by the processor: nearest even, subnormals become zero.
inline void store_rounded(bf16* to, Vec value) {
  const auto half = (__m256i)_mm512_cvtneps_pbh(value);
  copy_bytes(to, &half, sizeof(half));
}
inline void store_rounded(float* to, Vec value) { store(to, value); }
inline void store_rounded_some(bf16* to, Vec value, int64_t count) {
  _mm256_mask_storeu_epi16(to, first_lanes(count), (__m256i)_mm512_cvtneps_pbh(value));
}
inline void store_rounded_some(float* to, Vec value, int64_t count) {
  store_some(to, value, count);
}

// Within 3.5e-5 (absolutely, beyond 4.4 relatively to x) of gelu, a 60th of what rounding to bf16
// does to values near 1: x Φ(x) with Φ(x) - 1/2 an odd polynomial, minimax for x times its error.
inline Vec quick_gelu(Vec x) {
  constexpr float c[] = {0.39876148F,     -0.0660762563F,   0.00964293908F,
                         -0.00105497008F, 8.42898298e-05F,  -4.72459988e-06F,
                         1.74071445e-07F, -3.75369291e-09F, 3.56902945e-11F};
  const Vec near = greater(splat(-4.4F), lesser(splat(4.4F), x));
  return x * fma(polynomial(near * near, c), near, splat(0.5F));
}

template <class C, class Function>
inline void finish_row(const float* sums, C* c, const float* bias, const float* row_bias,
                       const float* residual, int64_t columns, Function activation) {
  for (int64_t j = 0; j < columns; j += kLanes) {
    const int64_t left = columns - j;
    const auto read = [&](const float* from) {
      return left >= kLanes ? load(from + j) : load_some(from + j, left);
    };
    Vec value = load(sums + j);
    if (bias != nullptr) value += read(bias);
    if (row_bias != nullptr) value += splat(*row_bias);
    value = activation(value);
    if (residual != nullptr) value += read(residual);
    if (left >= kLanes) {
      store_rounded(c + j, value);
    } else {
      store_rounded_some(c + j, value, left);
    }
  }
}

// C[rows, columns] whose first element is C[row, column] of the whole; `stride` between the sums'
// rows.
template <class C>
inline void finish_rows(const float* sums, int64_t stride, C* c, int64_t c_row, int64_t row,
                        int64_t rows, int64_t column, int64_t columns, const GemmEpilogue& e) {
  const float* bias = e.bias == nullptr ? nullptr : e.bias + column;
  for (int64_t r = 0; r < rows; ++r, c += c_row, sums += stride) {
    const float* row_bias = e.row_bias == nullptr ? nullptr : e.row_bias + row + r;
    const float* residual =
        e.residual == nullptr ? nullptr : e.residual + (row + r) * e.residual_stride + column;
    const auto with = [&](auto activation) {
      finish_row(sums, c, bias, row_bias, residual, columns, activation);
    };
    switch (e.activation) {
      case Activation::none:
        with([](Vec x) { return x; });
        break;
      case Activation::relu:
        with([](Vec x) { return relu(x); });
        break;
      case Activation::gelu:
        with([](Vec x) { return quick_gelu(x); });
        break;
      case Activation::gelu_tanh:
        with([](Vec x) { return gelu_tanh(x); });
        break;
      case Activation::silu:
        with([](Vec x) { return silu(x); });
        break;
      case Activation::tanh:
        with([](Vec x) { return tanh(x); });
        break;
      case Activation::sigmoid:
        with([](Vec x) { return sigmoid(x); });
        break;
    }
  }
}

TERCEL_ISA_END
