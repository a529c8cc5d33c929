#pragma once
// The vectors that kernels are written in: one register of f32 of the instruction set that the file
// is being compiled for.
//
// Only for sources of tercel_isa_sources (cmake/TercelIsa.cmake). What such a source defines stands
// in TERCEL_ISA_BEGIN … TERCEL_ISA_END, a nameless namespace: the linker merges inline functions of
// one name, and would hand code for one instruction set to a machine that lacks it. For the same
// reason these sources call no inline function or template from elsewhere, std::min included.

#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "src/base/half.h"
#include "src/kernels/cpu/parallel.h"

#define TERCEL_ISA_BEGIN      \
  namespace tercel::kernels { \
  namespace TERCEL_ISA {      \
  namespace { /* NOLINT: see above */
#define TERCEL_ISA_END \
  }                    \
  }                    \
  }

TERCEL_ISA_BEGIN

#if defined(TERCEL_ISA_generic)
constexpr int kLanes = 4;
#elif defined(TERCEL_ISA_avx2)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 16;
#endif

// Arithmetic, comparison (giving all ones or zero in Int) and `mask ? a : b` are the compiler's.
typedef float Vec __attribute__((vector_size(4 * kLanes)));
typedef int32_t Int __attribute__((vector_size(4 * kLanes)));
typedef uint32_t Uint __attribute__((vector_size(4 * kLanes)));
typedef uint16_t Half __attribute__((vector_size(2 * kLanes)));

template <class T>
inline T least(T a, T b) {
  return b < a ? b : a;
}
template <class T>
inline T most(T a, T b) {
  return a < b ? b : a;
}
inline int64_t ceil_div(int64_t a, int64_t b) { return a > 0 ? (a - 1) / b + 1 : a / b; }
inline int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

inline Vec splat(float value) {
#if defined(TERCEL_ISA_generic)
  return Vec{value, value, value, value};
#elif defined(TERCEL_ISA_avx2)
  return _mm256_set1_ps(value);
#else
  return _mm512_set1_ps(value);
#endif
}
inline Int splat_int(int32_t value) { return Int{} + value; }
inline Vec zeros() { return Vec{}; }
inline Int as_int(Vec value) { return (Int)value; }
inline Vec as_vec(Int value) { return (Vec)value; }
inline Vec select(Int mask, Vec yes, Vec no) { return mask ? yes : no; }

inline void copy_bytes(void* to, const void* from, std::size_t count) {
  __builtin_memcpy(to, from, count);
}

// A line that will be read (or written, in L1) soon; any address will do.
inline void fetch_to_l2(const void* line) { __builtin_prefetch(line, 0, 2); }
inline void fetch_to_l1(const void* line) { __builtin_prefetch(line, 0, 3); }

// 0, 1, 2, …
inline Int lane_numbers() {
  Int lanes{};
  for (int i = 0; i < kLanes; ++i) lanes[i] = i;
  return lanes;
}

inline Vec load(const float* from) {
  Vec value;
  copy_bytes(&value, from, sizeof(value));
  return value;
}
inline void store(float* to, Vec value) { copy_bytes(to, &value, sizeof(value)); }

inline Int widen_bits(Half value) {
#if defined(TERCEL_ISA_avx2)
  return (Int)_mm256_cvtepu16_epi32((__m128i)value);
#elif !defined(TERCEL_ISA_generic)
  return (Int)_mm512_cvtepu16_epi32((__m256i)value);
#else
  return __builtin_convertvector(value, Int);
#endif
}

inline Vec load(const bf16* from) {
  Half bits;
  copy_bytes(&bits, from, sizeof(bits));
  return as_vec(widen_bits(bits) << 16);
}

inline void store(bf16* to, Vec value) {
  const Uint bits = (Uint)value;
  const Uint rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
  const Uint quiet = (bits >> 16) | 0x40U;
  const Half half =
      __builtin_convertvector((Uint)(value == value ? (Int)rounded : (Int)quiet), Half);
  copy_bytes(to, &half, sizeof(half));
}

#if defined(TERCEL_ISA_generic)
inline Vec load(const f16* from) {
  return Vec{to_float(from[0]), to_float(from[1]), to_float(from[2]), to_float(from[3])};
}
inline void store(f16* to, Vec value) {
  for (int i = 0; i < kLanes; ++i) to[i] = to_f16(value[i]);
}
#elif defined(TERCEL_ISA_avx2)
inline Vec load(const f16* from) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
inline void store(f16* to, Vec value) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                   _mm256_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT));
}
#else
inline Vec load(const f16* from) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
inline void store(f16* to, Vec value) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                      _mm512_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT));
}
#endif

// The first `count` < kLanes elements; the lanes beyond are zero.
template <class T>
inline Vec load_some(const T* from, int64_t count) {
  T part[kLanes] = {};
  copy_bytes(part, from, static_cast<std::size_t>(count) * sizeof(T));
  return load(part);
}
template <class T>
inline void store_some(T* to, Vec value, int64_t count) {
  T part[kLanes];
  store(part, value);
  copy_bytes(to, part, static_cast<std::size_t>(count) * sizeof(T));
}
#if defined(TERCEL_ISA_avx512)
inline __mmask16 first_lanes(int64_t count) {
  return static_cast<__mmask16>((uint32_t{1} << count) - 1);
}
inline Vec load_some(const float* from, int64_t count) {
  return _mm512_maskz_loadu_ps(first_lanes(count), from);
}
inline void store_some(float* to, Vec value, int64_t count) {
  _mm512_mask_storeu_ps(to, first_lanes(count), value);
}
#endif

// a * b + c, rounded once where the instruction set can.
inline Vec fma(Vec a, Vec b, Vec c) {
#if defined(TERCEL_ISA_generic)
  return a * b + c;
#elif defined(TERCEL_ISA_avx2)
  return _mm256_fmadd_ps(a, b, c);
#else
  return _mm512_fmadd_ps(a, b, c);
#endif
}

inline Vec square_root(Vec value) {
#if defined(TERCEL_ISA_avx2)
  return _mm256_sqrt_ps(value);
#elif !defined(TERCEL_ISA_generic)
  return _mm512_sqrt_ps(value);
#elif defined(__x86_64__)
  return _mm_sqrt_ps(value);
#else
  for (int i = 0; i < kLanes; ++i) value[i] = __builtin_sqrtf(value[i]);
  return value;
#endif
}

inline Vec absolute(Vec value) { return as_vec(as_int(value) & 0x7fffffff); }
inline Vec with_sign_of(Vec magnitude, Vec sign) {
  return as_vec(as_int(magnitude) | (as_int(sign) & splat_int(INT32_MIN)));
}

// When either is NaN, or both are zero: b.
inline Vec greater(Vec a, Vec b) {
#if defined(TERCEL_ISA_avx2)
  return _mm256_max_ps(a, b);
#elif !defined(TERCEL_ISA_generic)
  return _mm512_max_ps(a, b);
#else
  return select(a > b, a, b);
#endif
}
inline Vec lesser(Vec a, Vec b) {
#if defined(TERCEL_ISA_avx2)
  return _mm256_min_ps(a, b);
#elif !defined(TERCEL_ISA_generic)
  return _mm512_min_ps(a, b);
#else
  return select(a < b, a, b);
#endif
}

// a[0] b[0] a[1] b[1] … of the lower or the upper halves.
template <bool UPPER>
inline Vec interleave(Vec a, Vec b) {
#if defined(TERCEL_ISA_generic)
  return UPPER ? __builtin_shufflevector(a, b, 2, 6, 3, 7)
               : __builtin_shufflevector(a, b, 0, 4, 1, 5);
#elif defined(TERCEL_ISA_avx2)
  return UPPER ? __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
               : __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
#else
  return UPPER ? __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30,
                                         15, 31)
               : __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7,
                                         23);
#endif
}

// rows[i][j] becomes rows[j][i].
inline void transpose(Vec (&rows)[kLanes]) {
#pragma GCC unroll 4
  for (int stage = 1; stage < kLanes; stage *= 2) {
    Vec next[kLanes];
#pragma GCC unroll 8
    for (int i = 0; i < kLanes / 2; ++i) {
      next[2 * i] = interleave<false>(rows[i], rows[i + kLanes / 2]);
      next[2 * i + 1] = interleave<true>(rows[i], rows[i + kLanes / 2]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) rows[i] = next[i];
  }
}

// Lane i of the result is lane i + HALF of the value; what the others are does not matter.
template <int HALF>
inline Vec moved_down(Vec value) {
#if defined(TERCEL_ISA_generic)
  return HALF == 2 ? __builtin_shufflevector(value, value, 2, 3, 2, 3)
                   : __builtin_shufflevector(value, value, 1, 1, 3, 3);
#elif defined(TERCEL_ISA_avx2)
  if constexpr (HALF == 4) return _mm256_permute2f128_ps(value, value, 0x11);
  return HALF == 2 ? _mm256_permute_ps(value, 0xee) : _mm256_permute_ps(value, 0x55);
#else
  if constexpr (HALF == 8) return _mm512_shuffle_f32x4(value, value, 0xee);
  if constexpr (HALF == 4) return _mm512_shuffle_f32x4(value, value, 0x55);
  return HALF == 2 ? _mm512_permute_ps(value, 0xee) : _mm512_permute_ps(value, 0x55);
#endif
}

// The lanes joined by one fixed tree: halves, lane by lane.
template <int HALF = kLanes / 2, class Join>
inline float across(Vec value, const Join& join) {
  const Vec joined = join(value, moved_down<HALF>(value));
  if constexpr (HALF > 1)
    return across<HALF / 2>(joined, join);
  else
    return joined[0];
}
inline float across_sum(Vec value) {
  return across(value, [](Vec a, Vec b) { return a + b; });
}
inline float across_max(Vec value) {
  return across(value, [](Vec a, Vec b) { return greater(a, b); });
}
inline float across_min(Vec value) {
  return across(value, [](Vec a, Vec b) { return lesser(a, b); });
}

// parallel_ranges and parallel_items for lambdas.
template <class Body>
void for_ranges(ThreadPool& pool, int64_t count, double cost, const Body& body) {
  parallel_ranges(pool, count, cost, &body, [](const void* context, int64_t begin, int64_t end) {
    (*static_cast<const Body*>(context))(begin, end);
  });
}
template <class Body>
void for_items(ThreadPool& pool, int64_t count, double cost, const Body& body) {
  parallel_items(pool, count, cost, &body, [](const void* context, int64_t item, int64_t slot) {
    (*static_cast<const Body*>(context))(item, slot);
  });
}

TERCEL_ISA_END
