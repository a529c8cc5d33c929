#pragma once
// From the sums of a tile to C. Only for sources of tercel_isa_sources with AVX512_BF16.

#include "src/kernels/cpu/gemm_task.h"

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

// finish_rows with what is enough for bf16 factors.
template <class C>
inline void finish_rounded(const float* sums, int64_t stride, C* c, int64_t c_row, int64_t row,
                           int64_t rows, int64_t column, int64_t columns, const GemmEpilogue& e) {
  const auto put = [](C* to, Vec value, int64_t left) {
    if (left >= kLanes) {
      store_rounded(to, value);
    } else {
      store_rounded_some(to, value, left);
    }
  };
  finish_rows(
      sums, stride, c, c_row, row, rows, column, columns, e, [](Vec x) { return quick_gelu(x); },
      put);
}

TERCEL_ISA_END
