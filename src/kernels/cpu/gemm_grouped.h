#pragma once
// Products of f32 by integer weights with groups. Only for sources of tercel_isa_sources.
//
// Few rows read the packed weights as they are, from memory and once. For more of them each part of
// a panel is turned into f32 once and the tiles of f32 run on it. The weights are the same bits
// either way, and so are the sums: those of the f32 product by the dequantised weights.

#include "src/kernels/cpu/gemm_grouped_tile.h"

TERCEL_ISA_BEGIN

constexpr double kUnpackedPerNanosecond = 8;  // weights

// --- Packing -------------------------------------------------------------------------------------

inline int grouped_bits(Dtype source) {
  if (source == Dtype::i4 || source == Dtype::u4) return 4;
  if (source == Dtype::i8 || source == Dtype::u8) return 8;
  fail_dtype("GEMM", source);
}
inline bool is_unsigned(Dtype source) { return source == Dtype::u4 || source == Dtype::u8; }

// What is taken off an unsigned weight and its zero point to make them signed.
inline int offset_of(Dtype source) {
  return is_unsigned(source) ? 1 << (grouped_bits(source) - 1) : 0;
}

inline GroupedFacts facts_of(const PackGroupedArgs& args) {
  GroupedFacts facts;
  facts.group = round_up(most<int64_t>(1, least(args.group, args.k)), kGroupUnit);
  const int offset = offset_of(args.source);
  if (args.zero == nullptr) {
    facts.has_zero = offset != 0 ? 1 : 0;
    return facts;
  }
  for (int64_t g = 0; g < ceil_div(args.k, facts.group); ++g) {
    for (int64_t j = 0; j < args.n; ++j) {
      if (args.zero[g * args.scale_group + j * args.scale_n] != offset) facts.has_zero = 1;
    }
  }
  return facts;
}

inline int grouped_element(const PackGroupedArgs& args, int bits, int64_t index) {
  const auto* bytes = static_cast<const uint8_t*>(args.b);
  if (bits == 8) return is_unsigned(args.source) ? bytes[index] - 128 : (int8_t)bytes[index];
  const int nibble = bytes[index / 2] >> (index % 2 * 4) & 15;
  return is_unsigned(args.source) ? nibble - 8 : (nibble ^ 8) - 8;
}

template <int BITS>
void pack_grouped_panel(const PackGroupedArgs& args, const GroupedFacts& facts, int64_t panel) {
  const GroupedB<BITS> layout(args.k, facts, args.out);
  char* base = static_cast<char*>(args.out) + kLine + panel * layout.panel_bytes;
  const int64_t first = panel * kPanel;
  const int64_t columns = least<int64_t>(kPanel, args.n - first);
  const int offset = offset_of(args.source);
  __builtin_memset(base, 0, static_cast<std::size_t>(layout.panel_bytes));
  for (int64_t g = 0; g < ceil_div(args.k, layout.group); ++g, base += layout.group_bytes) {
    auto* scales = reinterpret_cast<float*>(base);
    for (int64_t j = 0; j < columns; ++j) {
      const int64_t at = g * args.scale_group + (first + j) * args.scale_n;
      scales[j] = args.scale[at] / kGroupedFactor<BITS>;
      if (facts.has_zero == 0) continue;
      const int zero = (args.zero != nullptr ? args.zero[at] : 0) - offset;
      scales[kPanel + j] = static_cast<float>(zero) * kGroupedFactor<BITS>;
    }
    auto* out = reinterpret_cast<uint8_t*>(base + layout.head_bytes);
    const int64_t steps = least(layout.group, args.k - g * layout.group);
    for (int64_t k = 0; k < steps; ++k) {
      uint8_t* unit = out + k / kGroupUnit * kUnitBytes<BITS>;
      const int64_t step = k % kGroupUnit;
      const int64_t from = (g * layout.group + k) * args.k_stride + first * args.n_stride;
      for (int64_t j = 0; j < columns; ++j) {
        const int value = grouped_element(args, BITS, from + j * args.n_stride);
        if (BITS == 8)
          unit[step * kPanel + j] = static_cast<uint8_t>(value);
        else  // in a word whose lowest byte is the first
          unit[j * 4 + step / 2] |= static_cast<uint8_t>((value & 15) << (step % 2 * 4));
      }
    }
  }
}

inline std::size_t grouped_bytes(const PackGroupedArgs& args) {
  const int64_t panels = ceil_div(args.n, kPanel);
  const std::size_t most_bytes = checked_bytes(args.k + 2 * kGroupUnit, panels * kPanel + 64, 16);
  if (most_bytes == 0 || panels == 0) return static_cast<std::size_t>(kLine);
  const GroupedFacts facts = facts_of(args);
  const int64_t panel_bytes = grouped_bits(args.source) == 4
                                  ? GroupedB<4>(args.k, facts, nullptr).panel_bytes
                                  : GroupedB<8>(args.k, facts, nullptr).panel_bytes;
  return static_cast<std::size_t>(kLine + panels * panel_bytes);
}

inline void pack_grouped(const PackGroupedArgs& args, ThreadPool& pool) {
  const GroupedFacts facts = facts_of(args);
  copy_bytes(args.out, &facts, sizeof(facts));
  const bool four = grouped_bits(args.source) == 4;
  for_ranges(pool, ceil_div(args.n, kPanel), static_cast<double>(args.k) * kPanel,
             [&](int64_t begin, int64_t end) {
               for (int64_t p = begin; p < end; ++p) {
                 if (four)
                   pack_grouped_panel<4>(args, facts, p);
                 else
                   pack_grouped_panel<8>(args, facts, p);
               }
             });
}

// --- The product ---------------------------------------------------------------------------------

inline GroupedFacts packed_facts(const GemmArgs& args) {
  GroupedFacts facts;
  copy_bytes(&facts, args.packed_b, sizeof(facts));
  return facts;
}

// body(B, its tiles) of a product.
template <int BITS, class Body>
inline void with_grouped(const GemmArgs& args, const Body& body) {
  const GroupedFacts facts = packed_facts(args);
  const GroupedB<BITS> b(args.k, facts, args.packed_b);
  body(b, facts.has_zero != 0 ? kGroupedTiles<BITS, true> : kGroupedTiles<BITS, false>);
}

// Panels [p) of C for at most kGroupedRows rows of A, which are read where they lie.
template <int BITS>
void multiply_few_rows(const GemmArgs& args, Range p) {
  const auto rows = static_cast<int>(args.m);
  with_grouped<BITS>(args, [&](const GroupedB<BITS>& b, const GroupedTiles<BITS>& tiles) {
    for (int64_t at = p.begin; at < p.end;) {
      const char* panel = b.panels + at * b.panel_bytes;
      const int64_t left = args.n - at * kPanel;
      float* c = args.c + at * kPanel;
      if (rows == 1 && at + 1 < p.end && left >= 2 * kPanel) {
        tiles.pair(args.a, args.a_row, b, panel, args.k, c, args.c_row);
        at += 2;
        continue;
      }
      if (left >= kPanel) {
        tiles.one[rows - 1](args.a, args.a_row, b, panel, args.k, c, args.c_row);
      } else {
        alignas(64) float whole[kGroupedRows * kPanel];
        tiles.one[rows - 1](args.a, args.a_row, b, panel, args.k, whole, kPanel);
        for (int r = 0; r < rows; ++r)
          copy_bytes(c + r * args.c_row, whole + r * kPanel,
                     static_cast<std::size_t>(left) * sizeof(float));
      }
      ++at;
    }
  });
  const int64_t column = p.begin * kPanel;
  finish(args.c + column, args.c_row, 0, args.m, column, least(p.end * kPanel, args.n) - column,
         args.epilogue);
}

// run_panels for integer weights.
template <int BITS>
void run_grouped_panels(const GemmArgs& args, Range m, Range panels, float* a) {
  static_assert(kBlockK % kGroupUnit == 0);
  alignas(64) float widened[kBlockK * kPanel];
  const int64_t blocks = most<int64_t>(1, ceil_div(args.k, kBlockK));
  for (int64_t i = 0; i < blocks; ++i) {
    const Range k{i * kBlockK, least((i + 1) * kBlockK, args.k)};
    copy_a(args.a + m.begin * args.a_row + k.begin * args.a_column, args.a_row, args.a_column,
           static_cast<int>(m.size()), k.size(), a);
    for_products(args, kPanel, panels, [&](const GemmArgs& own, Range of_own) {
      with_grouped<BITS>(own, [&](const GroupedB<BITS>& b, const GroupedTiles<BITS>& tiles) {
        for (int64_t p = of_own.begin; p < of_own.end; ++p) {
          tiles.widen(b, b.panels + p * b.panel_bytes, k, widened);
          run_panel<float>(own, m, p, k, a, widened, nullptr);
        }
      });
    });
  }
}

TERCEL_ISA_END
