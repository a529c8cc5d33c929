#pragma once
// Vectors of bytes and the numbers that they stand for, as quantize.h has them. Only for sources of
// tercel_isa_sources.

#include "src/kernels/cpu/quantize.h"
#include "src/kernels/cpu/simd.h"

TERCEL_ISA_BEGIN

typedef int8_t Bytes __attribute__((vector_size(kLanes)));
typedef uint8_t UnsignedBytes __attribute__((vector_size(kLanes)));

// 1.5 · 2^23: the sum of it and a number of less than 2^22 has the nearest integer in its low bits.
inline Vec to_integer() { return splat(12582912.0F); }

// What a type of bytes holds, as integers without the zero point, and that.
struct ByteRange {
  float low, high;
  int32_t zero;

  // `relu`: nothing below the zero point.
  explicit ByteRange(const ByteType& type, bool relu = false) : zero(type.zero) {
    low = relu ? 0 : static_cast<float>((type.is_signed ? -128 : 0) - zero);
    high = static_cast<float>((type.is_signed ? 127 : 255) - zero);
  }

  Vec bounded(Vec value) const { return lesser(greater(value, splat(low)), splat(high)); }
  // The nearest integers, still without the zero point.
  Vec rounded(Vec value) const { return (bounded(value) + to_integer()) - to_integer(); }
  // The bytes of numbers, one a lane; NaN counts as the lowest.
  Int bytes(Vec value) const {
    const auto offset = static_cast<uint32_t>(zero) - ((Uint)to_integer())[0];
    return (Int)((Uint)(bounded(value) + to_integer()) + offset);
  }
};

// The low bytes of the lanes, which are those of either type.
inline void store_low_bytes(uint8_t* to, Int value, int64_t count) {
#if defined(TERCEL_ISA_avx512)
  const Bytes bytes = (Bytes)_mm512_cvtepi32_epi8((__m512i)value);
#elif defined(TERCEL_ISA_avx2)
  const __m128i low = _mm256_castsi256_si128((__m256i)value);
  const __m128i high = _mm256_extracti128_si256((__m256i)value, 1);
  const __m128i order = _mm_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
  const __m128i both =
      _mm_unpacklo_epi32(_mm_shuffle_epi8(low, order), _mm_shuffle_epi8(high, order));
  Bytes bytes;
  copy_bytes(&bytes, &both, sizeof(bytes));
#else
  const Bytes bytes = __builtin_convertvector(value, Bytes);
#endif
  if (count >= kLanes)
    copy_bytes(to, &bytes, sizeof(bytes));
  else
    copy_bytes(to, &bytes, static_cast<std::size_t>(count));
}

inline Int load_bytes(const uint8_t* from, bool is_signed, int64_t count) {
  UnsignedBytes bytes = {};
  if (count >= kLanes)
    copy_bytes(&bytes, from, sizeof(bytes));
  else
    copy_bytes(&bytes, from, static_cast<std::size_t>(count));
#if defined(TERCEL_ISA_avx512)
  return is_signed ? (Int)_mm512_cvtepi8_epi32((__m128i)bytes)
                   : (Int)_mm512_cvtepu8_epi32((__m128i)bytes);
#elif defined(TERCEL_ISA_avx2)
  __m128i wide = {};
  copy_bytes(&wide, &bytes, sizeof(bytes));
  return is_signed ? (Int)_mm256_cvtepi8_epi32(wide) : (Int)_mm256_cvtepu8_epi32(wide);
#else
  return is_signed ? __builtin_convertvector((Bytes)bytes, Int)
                   : __builtin_convertvector(bytes, Int);
#endif
}

// (byte - zero) of bytes.
inline Vec load_steps(const uint8_t* from, const ByteType& type, int64_t count) {
  return __builtin_convertvector(load_bytes(from, type.is_signed, count) - splat_int(type.zero),
                                 Vec);
}

TERCEL_ISA_END
