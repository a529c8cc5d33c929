#pragma once
// How the right factor of products of 8-bit integers is packed. Only for sources of
// tercel_isa_sources.

#include "src/kernels/cpu/gemm_int8_task.h"

TERCEL_ISA_BEGIN

inline std::size_t packed_matrix_bytes(int64_t k, int64_t n, bool wide) {
  checked_bytes(k + 2 * kPadK, n + 2 * kInt8Panel, 64);
  return static_cast<std::size_t>(PackedLayout(k, n, packs_wide(wide)).bytes);
}

// B[k, n] without its zero point.
inline int32_t weight_at(const PackInt8Args& args, int64_t k, int64_t n) {
  const int64_t i = k * args.k_stride + n * args.n_stride;
  const int32_t value = args.is_signed ? static_cast<const int8_t*>(args.b)[i]
                                       : static_cast<const uint8_t*>(args.b)[i];
  return value - (args.zero != nullptr ? args.zero[n] : 0);
}

// Of unsigned bytes 128 is taken off, here and from the zero point.
template <class B>
void pack_columns(const PackInt8Args& args, const PackedLayout& layout, int64_t panel) {
  auto* base = static_cast<char*>(args.out);
  auto* out = reinterpret_cast<B*>(base + kLine + panel * layout.panel_bytes);
  auto* sums = reinterpret_cast<int32_t*>(base + layout.sums);
  auto* zeros = reinterpret_cast<int32_t*>(base + layout.zeros);
  auto* scales = reinterpret_cast<float*>(base + layout.scales);
  const int offset = args.is_signed ? 0 : 128;
  const int64_t first = panel * kInt8Panel;
  const int64_t columns = least<int64_t>(kInt8Panel, args.n - first);
  int32_t totals[kInt8Panel] = {};
  __builtin_memset(out, 0, static_cast<std::size_t>(layout.panel_bytes));
  for (int64_t k = 0; k < args.k; ++k) {
    const int64_t at = k * args.k_stride + first * args.n_stride;
    B* to = out + k / kStep * kStepElements + k % kStep;
    const auto put_row = [&](const auto* from) {
      for (int64_t j = 0; j < columns; ++j) {
        const int value = from[j * args.n_stride] - offset;
        to[j * kStep] = static_cast<B>(value);
        totals[j] += value;
      }
    };
    if (args.is_signed)
      put_row(static_cast<const int8_t*>(args.b) + at);
    else
      put_row(static_cast<const uint8_t*>(args.b) + at);
  }
  for (int64_t j = 0; j < kInt8Panel; ++j) {
    const int64_t column = first + j;
    const bool inside = j < columns;
    sums[column] = totals[j];
    zeros[column] = inside && args.zero != nullptr ? args.zero[column] - offset : -offset;
    scales[column] = inside && args.scale != nullptr ? args.scale[column] : 1;
  }
}

// `wide`: as the instruction set multiplies it, which may be pairs of 16 bits, in twice the memory.
// That is worth it where many rows are multiplied.
inline void pack_matrix(const PackInt8Args& args, bool wide, ThreadPool& pool) {
  PackedFacts facts{args.is_signed ? 0 : 1, packs_wide(wide)};
  const PackedLayout layout(args.k, args.n, facts.wide != 0);
  for (int64_t j = 0; args.zero != nullptr && j < args.n; ++j) facts.any_zero |= args.zero[j] != 0;
  copy_bytes(args.out, &facts, sizeof(facts));
  const auto pack = facts.wide != 0 ? pack_columns<int16_t> : pack_columns<int8_t>;
  for_ranges(pool, layout.panels, static_cast<double>(layout.panel_bytes),
             [&](int64_t begin, int64_t end) {
               for (int64_t p = begin; p < end; ++p) pack(args, layout, p);
             });
}

TERCEL_ISA_END
