#include "src/kernels/cpu/convert.h"

#include "src/kernels/cpu/isa_tables.h"
#include "src/kernels/cpu/simd.h"

TERCEL_ISA_BEGIN

constexpr double kNanosecondsToConvert = 0.3;

template <class From, class To>
void convert_span(const From* from, To* to, int64_t count) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store(to + i, load(from + i));
  if (i < count) store_some(to + i, load_some(from + i, count - i), count - i);
}

template <class From, class To>
void convert_all(const ConvertArgs& args, ThreadPool& pool) {
  const auto* from = static_cast<const From*>(args.from);
  auto* to = static_cast<To*>(args.to);
  for_ranges(pool, ceil_div(args.count, kChunk), kNanosecondsToConvert * kChunk,
             [&](int64_t begin, int64_t end) {
               const int64_t first = begin * kChunk;
               convert_span(from + first, to + first, least(end * kChunk, args.count) - first);
             });
}

void convert(const ConvertArgs& args, ThreadPool& pool) {
  if (args.from_type == Dtype::f32) {
    if (args.to_type == Dtype::f16) return convert_all<float, f16>(args, pool);
    if (args.to_type == Dtype::bf16) return convert_all<float, bf16>(args, pool);
    fail_dtype("conversion from f32", args.to_type);
  }
  if (args.to_type != Dtype::f32) fail_dtype("conversion between half types", args.to_type);
  if (args.from_type == Dtype::f16) return convert_all<f16, float>(args, pool);
  if (args.from_type == Dtype::bf16) return convert_all<bf16, float>(args, pool);
  fail_dtype("conversion to f32", args.from_type);
}

TERCEL_ISA_END

TERCEL_ISA_TABLE(ConvertKernels, convert_kernels, convert)
