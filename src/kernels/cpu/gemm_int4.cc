#include "src/kernels/cpu/gemm_int4.h"

#include <utility>

#include "src/kernels/cpu/gemm_int4_tile.h"
#include "src/kernels/cpu/isa_tables.h"

TERCEL_ISA_BEGIN

// --- B -------------------------------------------------------------------------------------------

std::size_t int4_packed_bytes(const PackGroupedArgs& args) {
  const int64_t panels = ceil_div(args.n, kPanel);
  const std::size_t most_bytes = checked_bytes(args.k + 2 * kInt4Block, panels * kPanel + 64, 16);
  if (most_bytes == 0 || panels == 0) return static_cast<std::size_t>(kLine);
  return static_cast<std::size_t>(kLine +
                                  panels * Int4B(args.k, facts_of(args), nullptr).panel_bytes);
}

void pack_int4_panel(const PackGroupedArgs& args, const GroupedFacts& facts, int64_t panel) {
  const Int4B layout(args.k, facts, args.out);
  char* to = static_cast<char*>(args.out) + kLine + panel * layout.panel_bytes;
  const int64_t first = panel * kPanel;
  const int64_t columns = least<int64_t>(kPanel, args.n - first);
  const int zero_offset = 8 - offset_of(args.source);
  __builtin_memset(to, 0, static_cast<std::size_t>(layout.panel_bytes));
  for (int64_t block = 0; block < layout.blocks; ++block, to += kInt4BlockBytes) {
    if (block % layout.group_blocks == 0) {
      auto* scales = reinterpret_cast<float*>(to);
      for (int64_t j = 0; j < columns; ++j) {
        const int64_t at =
            block / layout.group_blocks * args.scale_group + (first + j) * args.scale_n;
        scales[j] = args.scale[at];
        if (facts.has_zero == 0) continue;
        const int zero = (args.zero != nullptr ? args.zero[at] : 0) + zero_offset;
        scales[kPanel + j] = static_cast<float>(zero) / 8;
      }
      to += layout.head_bytes;
    }
    const int64_t steps = least(kInt4Block, args.k - block * kInt4Block);
    for (int64_t k = 0; k < steps; ++k) {
      const int64_t from = (block * kInt4Block + k) * args.k_stride + first * args.n_stride;
      const int64_t step = k % kHalfBlock;
      char* word = to + step / 4 * kPanel * 4 + step % 4;
      for (int64_t j = 0; j < columns; ++j) {
        const int value = grouped_element(args, 4, from + j * args.n_stride) + 8;
        word[j * 4] = static_cast<char>(word[j * 4] | value << (k / kHalfBlock * 4));
      }
    }
  }
}

void int4_pack_b(const PackGroupedArgs& args, ThreadPool& pool) {
  const GroupedFacts facts = facts_of(args);
  copy_bytes(args.out, &facts, sizeof(facts));
  for_ranges(pool, ceil_div(args.n, kPanel), static_cast<double>(args.k) * kPanel,
             [&](int64_t begin, int64_t end) {
               for (int64_t p = begin; p < end; ++p) pack_int4_panel(args, facts, p);
             });
}

// --- A -------------------------------------------------------------------------------------------

constexpr int kBlockVectors = kInt4Block / kLanes;

template <int DISTANCE, int... LANE>
inline Vec exchanged(Vec value, std::integer_sequence<int, LANE...>) {
  return __builtin_shufflevector(value, value, (LANE ^ DISTANCE)...);
}

// All lanes joined, in each of them; whatever the order gives.
template <int DISTANCE = kLanes / 2, class Join>
inline Vec joined(Vec value, Join join) {
  if constexpr (DISTANCE == 0) {
    return value;
  } else {
    const auto lanes = std::make_integer_sequence<int, kLanes>();
    return joined<DISTANCE / 2>(join(value, exchanged<DISTANCE>(value, lanes)), join);
  }
}

inline void store_block(int8_t* to, const Int (&values)[kBlockVectors]) {
#if defined(TERCEL_ISA_avx512)
  for (int i = 0; i < kBlockVectors; ++i)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i * kLanes),
                     _mm512_cvtepi32_epi8((__m512i)values[i]));
#elif defined(TERCEL_ISA_avx2)
  const auto halves = [&](int i) {
    return _mm256_packs_epi32((__m256i)values[i], (__m256i)values[i + 1]);
  };
  const __m256i mixed = _mm256_packs_epi16(halves(0), halves(2));
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_permutevar8x32_epi32(mixed, order));
#else
  for (int i = 0; i < kInt4Block; ++i) to[i] = static_cast<int8_t>(values[i / kLanes][i % kLanes]);
#endif
}

// As the header says; `from` has `count` elements, the others are 0.
void round_block(const float* from, int64_t count, int8_t* to, float* facts) {
  Vec values[kBlockVectors];
  Vec greatest = splat(1e-30F), poison = zeros();
#pragma GCC unroll 8
  for (int i = 0; i < kBlockVectors; ++i) {
    const int64_t left = count - i * kLanes;
    values[i] = left >= kLanes ? load(from + i * kLanes)
                : left > 0     ? load_some(from + i * kLanes, left)
                               : zeros();
    const Vec size = absolute(values[i]);
    greatest = select(size > greatest, size, greatest);
    poison = fma(values[i], zeros(), poison);
  }
  const Vec range = joined(greatest, [](Vec a, Vec b) { return select(a > b, a, b); });
  const Vec inverse = splat(127) / range;
  const Vec shift = splat(12582912.0F);  // 1.5 · 2^23: the sum's low bits are the integer
  Int rounded[kBlockVectors];
  Vec sum = zeros();
#pragma GCC unroll 8
  for (int i = 0; i < kBlockVectors; ++i) {
    const Vec shifted = values[i] * inverse + shift;
    rounded[i] = (Int)((Uint)shifted - (Uint)shift);
    sum += shifted - shift;
  }
  store_block(to, rounded);
  const auto add = [](Vec a, Vec b) { return a + b; };
  const Vec scale = range / splat(127) + joined(poison, add);
  facts[0] = scale[0];
  facts[1] = 8 * joined(sum, add)[0];
}

void round_row(const float* from, int64_t k, const Int4Rows& rows, int8_t* to) {
  auto* facts = reinterpret_cast<float*>(to + rows.blocks * kInt4Block);
  for (int64_t block = 0; block < rows.blocks; ++block) {
    const int64_t first = block * kInt4Block;
    round_block(from + first, least(kInt4Block, k - first), to + first, facts + 2 * block);
  }
}

// --- The product ---------------------------------------------------------------------------------

constexpr double kInt4ProductsPerNanosecond = 100;
constexpr double kNanosecondsToRound = 0.5;
constexpr int64_t kMostRoundedRows = 512;  // at a time
constexpr int64_t kRowsInCache = 64;       // that pass by a panel before the next

std::size_t int4_workspace(int64_t m, int64_t k, int /*threads*/) {
  checked_bytes(most<int64_t>(k, 1) + kLine, kMostRoundedRows, 4);
  return checked_bytes(least(m, kMostRoundedRows), Int4Rows(k).stride, 1);
}

// Rows [m) of C by its panels [p).
void run_int4_part(const Int4GemmArgs& args, const Int4Rows& rows, const int8_t* a, Range m,
                   Range p) {
  GroupedFacts facts;
  copy_bytes(&facts, args.packed_b, sizeof(facts));
  const Int4B b(args.k, facts, args.packed_b);
  const Int4Tiles& tiles = facts.has_zero != 0 ? kInt4Tiles<true> : kInt4Tiles<false>;
  const int64_t count = ceil_div(m.size(), kInt4TileRows);
  for (int64_t at = p.begin; at < p.end; ++at) {
    const char* panel = b.panels + at * b.panel_bytes;
    const int64_t columns = least<int64_t>(kPanel, args.n - at * kPanel);
    for (int64_t t = 0; t < count; ++t) {
      const Range tile = part(m.size(), t, count);
      const int8_t* from = a + tile.begin * rows.stride;
      float* c = args.c + (m.begin + tile.begin) * args.c_row + at * kPanel;
      const Int4Tile run = tiles.by_rows[tile.size() - 1];
      if (columns == kPanel) {
        run(from, rows, b, panel, c, args.c_row);
        continue;
      }
      alignas(64) float whole[kInt4TileRows * kPanel];
      run(from, rows, b, panel, whole, kPanel);
      for (int64_t r = 0; r < tile.size(); ++r)
        copy_bytes(c + r * args.c_row, whole + r * kPanel,
                   static_cast<std::size_t>(columns) * sizeof(float));
    }
  }
  const int64_t column = p.begin * kPanel;
  finish(args.c + m.begin * args.c_row + column, args.c_row, m.begin, m.size(), column,
         least(p.end * kPanel, args.n) - column, args.epilogue);
}

void int4_gemm(const Int4GemmArgs& args, ThreadPool& pool) {
  const int64_t panels = count_panels(args, kPanel);
  const Int4Rows rows(args.k);
  auto* rounded = static_cast<int8_t*>(args.workspace);
  for (int64_t first = 0; first < args.m; first += kMostRoundedRows) {
    const int64_t count = least(kMostRoundedRows, args.m - first);
    for_ranges(pool, count, kNanosecondsToRound * static_cast<double>(args.k),
               [&](int64_t begin, int64_t end) {
                 for (int64_t r = begin; r < end; ++r)
                   round_row(args.a + (first + r) * args.a_row, args.k, rows,
                             rounded + r * rows.stride);
               });
    const double cost = static_cast<double>(count * kPanel * args.k) / kInt4ProductsPerNanosecond;
    for_ranges(pool, panels, cost, [&](int64_t begin, int64_t end) {
      for (int64_t r = 0; r < count; r += kRowsInCache) {
        const Range m{first + r, first + least(r + kRowsInCache, count)};
        for_products(args, kPanel, {begin, end}, [&](const Int4GemmArgs& own, Range p) {
          run_int4_part(own, rows, rounded + r * rows.stride, m, p);
        });
      }
    });
  }
  normalize_all(args, pool);
}

TERCEL_ISA_END

TERCEL_ISA_TABLE(GemmInt4Kernels, gemm_int4_kernels, int4_packed_bytes, int4_pack_b, int4_workspace,
                 int4_gemm)
