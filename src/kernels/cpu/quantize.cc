#include "src/kernels/cpu/quantize.h"

#include "src/kernels/cpu/isa_tables.h"
#include "src/kernels/cpu/simd.h"

TERCEL_ISA_BEGIN

constexpr double kNanosecondsPerByte = 0.3;

typedef int8_t Bytes __attribute__((vector_size(kLanes)));
typedef uint8_t UnsignedBytes __attribute__((vector_size(kLanes)));

// What the type of bytes holds, and the zero point.
struct ByteRange {
  int32_t low, high, zero;

  ByteRange(bool is_signed, int32_t zero_point)
      : low(is_signed ? -128 : 0), high(is_signed ? 127 : 255), zero(zero_point) {}
};

inline Int nearest_bytes(Vec value, const ByteRange& range) {
  const Vec beyond = splat(1000);        // any zero point brings back
  const Vec shift = splat(12582912.0F);  // 1.5 · 2^23: the sum's low bits are the integer
  value = select(value == value, value, zeros());
  value = lesser(greater(value, -beyond), beyond);
  const Int result = (Int)((Uint)(value + shift) - (Uint)shift) + splat_int(range.zero);
  const Int low = splat_int(range.low), high = splat_int(range.high);
  const Int enough = result < low ? low : result;
  return enough > high ? high : enough;
}

// The low bytes of the lanes, which are those of either type.
inline void store_low_bytes(uint8_t* to, Int value, int64_t count) {
#if defined(TERCEL_ISA_avx512)
  const Bytes bytes = (Bytes)_mm512_cvtepi32_epi8((__m512i)value);
#else
  const Bytes bytes = __builtin_convertvector(value, Bytes);
#endif
  copy_bytes(to, &bytes, static_cast<std::size_t>(least<int64_t>(count, kLanes)));
}

inline Int load_bytes(const uint8_t* from, bool is_signed, int64_t count) {
  UnsignedBytes bytes = {};
  copy_bytes(&bytes, from, static_cast<std::size_t>(least<int64_t>(count, kLanes)));
  return is_signed ? __builtin_convertvector((Bytes)bytes, Int)
                   : __builtin_convertvector(bytes, Int);
}

template <class Body>
void for_byte_vectors(int64_t all, ThreadPool& pool, const Body& body) {
  for_ranges(pool, ceil_div(all, kChunk), kNanosecondsPerByte * kChunk,
             [&](int64_t begin, int64_t end) {
               const int64_t last = least(end * kChunk, all);
               int64_t i = begin * kChunk;
               for (; i + kLanes <= last; i += kLanes) body(i, kLanes);
               if (i < last) body(i, last - i);
             });
}

void quantize(const QuantizeArgs& args, ThreadPool& pool) {
  const ByteRange range(args.is_signed, args.zero);
  auto* bytes = static_cast<uint8_t*>(args.bytes);
  for_byte_vectors(args.count, pool, [&](int64_t i, int64_t count) {
    const float* from = args.numbers + i;
    const Vec value = count < kLanes ? load_some(from, count) : load(from);
    store_low_bytes(bytes + i, nearest_bytes(value / splat(args.scale), range), count);
  });
}

void dequantize(const DequantizeArgs& args, ThreadPool& pool) {
  const auto* bytes = static_cast<const uint8_t*>(args.bytes);
  for_byte_vectors(args.count, pool, [&](int64_t i, int64_t count) {
    const Int steps = load_bytes(bytes + i, args.is_signed, count) - splat_int(args.zero);
    const Vec value = __builtin_convertvector(steps, Vec) * splat(args.scale);
    if (count < kLanes)
      store_some(args.numbers + i, value, count);
    else
      store(args.numbers + i, value);
  });
}

void requantize(const RequantizeArgs& args, ThreadPool& pool) {
  const ByteRange range(args.is_signed, args.zero);
  const int64_t n = args.columns;
  const double cost = kNanosecondsPerByte * static_cast<double>(n);
  for_ranges(pool, args.rows, cost, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const float* scales = args.scales + r * args.scales_row;
      auto* bytes = static_cast<uint8_t*>(args.bytes) + r * n;
      for (int64_t j = 0; j < n; j += kLanes) {
        const int64_t count = least<int64_t>(kLanes, n - j);
        const auto size = static_cast<std::size_t>(count) * 4;
        Int sum = {}, bias = {};
        Vec scale = {};
        copy_bytes(&sum, args.sums + r * n + j, size);
        if (args.bias != nullptr) copy_bytes(&bias, args.bias + j, size);
        copy_bytes(&scale, scales + j, size);
        const Int biased = (Int)((Uint)sum + (Uint)bias);
        const Vec value = __builtin_convertvector(biased, Vec) * scale;
        store_low_bytes(bytes + j, nearest_bytes(value, range), count);
      }
    }
  });
}

TERCEL_ISA_END

TERCEL_ISA_TABLE(QuantizeKernels, quantize_kernels, quantize, dequantize, requantize)
