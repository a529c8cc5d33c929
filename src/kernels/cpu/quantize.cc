#include "src/kernels/cpu/quantize.h"

#include "src/kernels/cpu/bytes.h"
#include "src/kernels/cpu/isa_tables.h"

TERCEL_ISA_BEGIN

constexpr double kNanosecondsPerByte = 0.3;

// NaN counts as 0.
inline Int nearest_bytes(Vec value, const ByteRange& range) {
  return range.bytes(select(value == value, value, zeros()));
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
  const ByteRange range(args.type);
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
    const Vec value = load_steps(bytes + i, args.type, count) * splat(args.scale);
    if (count < kLanes)
      store_some(args.numbers + i, value, count);
    else
      store(args.numbers + i, value);
  });
}

void requantize(const RequantizeArgs& args, ThreadPool& pool) {
  const ByteRange range(args.type);
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

void add_bytes(const AddBytesArgs& args, ThreadPool& pool) {
  const ByteRange range(args.type);
  const auto numbers = [](const ByteAddend& addend, int64_t i, int64_t count) {
    return load_steps(static_cast<const uint8_t*>(addend.bytes) + i, addend.type, count) *
           splat(addend.scale);
  };
  for_byte_vectors(args.count, pool, [&](int64_t i, int64_t count) {
    store_low_bytes(static_cast<uint8_t*>(args.y) + i,
                    range.bytes(numbers(args.a, i, count) + numbers(args.b, i, count)), count);
  });
}

TERCEL_ISA_END

TERCEL_ISA_TABLE(QuantizeKernels, quantize_kernels, quantize, dequantize, requantize, add_bytes)
