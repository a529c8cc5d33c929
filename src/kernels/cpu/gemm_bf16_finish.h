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

template <class C>
inline void store_rounded_upto(C* to, Vec value, int64_t count) {
  if (count >= kLanes)
    store_rounded(to, value);
  else
    store_rounded_some(to, value, count);
}

// finish_rows with what is enough for bf16 factors.
template <class C>
inline void finish_rounded(const float* sums, int64_t stride, C* c, int64_t c_row, int64_t row,
                           int64_t rows, int64_t column, int64_t columns, const GemmEpilogue& e) {
  finish_rows(
      sums, stride, c, c_row, row, rows, column, columns, e, [](Vec x) { return quick_gelu(x); },
      store_rounded_upto<C>);
}

TERCEL_ISA_END
