#pragma once
// What products of 8-bit integers share: how a packed B and a thread's rows lie in memory, how
// numbers are rounded, and the walk of rows past panels. Only for sources of tercel_isa_sources.

#include "src/kernels/cpu/gemm_int8.h"
#include "src/kernels/cpu/gemm_int8_tile.h"
#include "src/kernels/cpu/gemm_task.h"

TERCEL_ISA_BEGIN

constexpr double kProductsPerNanosecond = 200;
// What stays in a core's L2 while rows pass by: of the rows of A, and of B. Tiles multiply so fast
// that B has to serve more rows each time it comes; cores that have them have an L2 of 2 MB.
constexpr int64_t kPanelsBytes = 384 << 10;
#if defined(TERCEL_ISA_amx)
constexpr int64_t kRowsBytes = 768 << 10;
constexpr int64_t kMostTileRows = kAmxRows;
constexpr int64_t kMostRows = 256;
#else
constexpr int64_t kRowsBytes = 192 << 10;
constexpr int64_t kMostTileRows = kInt8Rows;
constexpr int64_t kMostRows = (128 + kMostTileRows - 1) / kMostTileRows * kMostTileRows;
#endif

// Where the parts of a packed matrix are, in bytes.
struct PackedLayout {
  int64_t panels, steps, step_bytes, panel_bytes, sums, zeros, scales, bytes;

  PackedLayout(int64_t k, int64_t n, bool wide) {
    panels = ceil_div(n, kInt8Panel);
    steps = round_up(k, kPadK) / kStep;
    step_bytes = kStepElements * (wide ? 2 : 1);
    panel_bytes = steps * step_bytes;
    const int64_t columns = round_up(panels * kInt8Panel * 4, kLine);
    sums = kLine + round_up(panels * panel_bytes, kLine);
    zeros = sums + columns;
    scales = zeros + columns;
    bytes = scales + columns;
  }
};

// The first line of a packed matrix.
struct PackedFacts {
  int32_t any_zero = 0, wide = 0;
};
inline PackedFacts facts_of(const void* packed) {
  PackedFacts facts;
  copy_bytes(&facts, packed, sizeof(facts));
  return facts;
}

// Pairs of 16 bits are only what bytes become where there is no product of bytes.
inline bool packs_wide(bool wide) { return wide && kStep == 2; }

inline Int clamp_byte(Int value) {
#if defined(TERCEL_ISA_avx512)
  return (Int)_mm512_max_epi32(_mm512_min_epi32((__m512i)value, _mm512_set1_epi32(255)),
                               _mm512_setzero_si512());
#else
  value = value > 255 ? splat_int(255) : value;
  return value < 0 ? splat_int(0) : value;
#endif
}

// Clamped to bytes.
inline void store_clamped(RowElement* to, Int value) {
#if defined(TERCEL_ISA_avx512_vnni) || defined(TERCEL_ISA_amx)
  const __m512i positive = _mm512_max_epi32((__m512i)value, _mm512_setzero_si512());
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtusepi32_epi8(positive));
#elif defined(TERCEL_ISA_avx512)
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                      _mm512_cvtepi32_epi16((__m512i)clamp_byte(value)));
#else
  typedef RowElement Elements __attribute__((vector_size(sizeof(RowElement) * kLanes)));
  const Elements elements = __builtin_convertvector(clamp_byte(value), Elements);
  copy_bytes(to, &elements, sizeof(elements));
#endif
}

// The least and the greatest of numbers, 0 among them; a NaN where one is not finite, else 0.
class Extremes {
 public:
  void look(const float* from, int64_t count) {
    int64_t i = 0;
    for (; i + kChains * kLanes <= count; i += kChains * kLanes) {
#pragma GCC unroll 4
      for (int c = 0; c < kChains; ++c) chains_[c].look(load(from + i + c * kLanes));
    }
    for (; i < count; i += kLanes)
      chains_[0].look(count - i >= kLanes ? load(from + i) : load_some(from + i, count - i));
  }
  float low() const { return across_min(joined().low); }
  float high() const { return across_max(joined().high); }
  float poison() const { return across_sum(joined().poison); }

 private:
  // Several, so that none waits for the one before.
  static constexpr int kChains = 4;
  struct Chain {
    Vec low = zeros(), high = zeros(), poison = zeros();

    void look(Vec value) {
      low = lesser(value, low);
      high = greater(value, high);
      poison = fma(value, zeros(), poison);
    }
  };

  Chain joined() const {
    Chain all = chains_[0];
    for (int c = 1; c < kChains; ++c) {
      all.low = lesser(chains_[c].low, all.low);
      all.high = greater(chains_[c].high, all.high);
      all.poison += chains_[c].poison;
    }
    return all;
  }

  Chain chains_[kChains];
};

// The 255 steps between two numbers, as gemm_int8.h has them.
class Steps {
 public:
  Steps() = default;
  Steps(float low, float high) : range_(most(high - low, 1e-30F)), inverse_(255 / range_) {
    zero_ = rounded(splat(-low));
  }

  float scale() const { return range_ / 255; }
  int32_t zero() const { return (int32_t)zero_[0]; }
  // Before it is clamped.
  Int whole(Vec value) const { return (Int)(rounded(value) + zero_); }
  Int quantized(Vec value) const { return clamp_byte(whole(value)); }

 private:
  Uint rounded(Vec value) const {
    const Vec shift = splat(12582912.0F);  // 1.5 · 2^23: the sum's low bits are the integer
    return (Uint)(value * splat(inverse_) + shift) - (Uint)shift;
  }

  float range_, inverse_;
  Uint zero_;
};

// A thread's rows, an odd number of lines apart: rows of one stride of 4 KiB would share a set of
// the cache. Whole vectors may be written past a row's end.
struct RowsLayout {
  int64_t stride, rows, bytes, facts;

  RowsLayout(int64_t m, int64_t k) {
    const int64_t lines = ceil_div((k + kLanes) * static_cast<int64_t>(sizeof(RowElement)), kLine);
    stride = (lines + 1 - lines % 2) * kLine / static_cast<int64_t>(sizeof(RowElement));
    const int64_t row_bytes = stride * static_cast<int64_t>(sizeof(RowElement));
    rows = least(
        round_up(m, kMostTileRows),
        least(kMostRows, most<int64_t>(1, kRowsBytes / row_bytes / kMostTileRows) * kMostTileRows));
    facts = rows * row_bytes;
    bytes = facts + round_up(3 * rows * 4, kLine);
  }

  RowFacts facts_in(char* memory) const {
    auto* scales = reinterpret_cast<float*>(memory + facts);
    return {scales, reinterpret_cast<int32_t*>(scales + rows),
            reinterpret_cast<int32_t*>(scales + 2 * rows)};
  }
};

// Of all threads.
inline std::size_t rows_bytes(int64_t m, int64_t k, int threads) {
  checked_bytes(most<int64_t>(k, 1) + kLine, kMostRows, 4);
  return checked_bytes(RowsLayout(m, k).bytes, threads, 1);
}

// How C is cut into tasks: by rows, so that each is made once; by columns where there are too few.
struct Int8Cut {
  int64_t rows, columns;

  Int8Cut(int64_t m, int64_t panels, int64_t threads, const RowsLayout& layout) {
    rows = least(threads, most<int64_t>(1, m / (2 * kMostTileRows)));
#if defined(TERCEL_ISA_amx)
    // Tiles wait for B: where it is large beside A, reading it once is worth rounding A twice.
    constexpr int64_t kMuchWider = 6;
    if (panels * kInt8Panel > kMuchWider * m) rows = 1;
#endif
    columns = least(panels, ceil_div(threads, rows));
    if (rows == threads) rows = round_up(most(rows, ceil_div(m, layout.rows)), threads);
  }
  int64_t tasks() const { return rows * columns; }
};

inline double int8_cost(int64_t m, int64_t panels, int64_t k) {
  return static_cast<double>(m) * static_cast<double>(panels * kInt8Panel) *
         static_cast<double>(k) / kProductsPerNanosecond;
}

struct Block {
  const RowElement* a;
  int64_t a_row;
  RowFacts facts;
  Range rows;  // of C
};

template <class Out>
inline void run_tile(int rows, bool wide, const TileArgs& args, Out* c, int64_t c_row) {
  if constexpr (kStep == 2) {
    if (wide) return kInt8Tiles<int16_t, Out>.by_rows[rows - 1](args, c, c_row);
  }
#if defined(TERCEL_ISA_amx)
  if (rows > kTileHeight) return amx_tile<true>(rows, args, c, c_row);
  if (rows > kInt8Rows / 2) return amx_tile<false>(rows, args, c, c_row);
#endif
  kInt8Tiles<int8_t, Out>.by_rows[rows - 1](args, c, c_row);
}

// One tile of rows by one panel, as wide as there are columns.
template <class Out>
inline void run_columns(int rows, bool wide, const TileArgs& args, int64_t columns, Out* c,
                        int64_t c_row) {
  if (columns >= kInt8Panel) return run_tile(rows, wide, args, c, c_row);
  alignas(64) Out whole[kMostTileRows * kInt8Panel];
  alignas(64) float bias[kInt8Panel];
  TileArgs aside = args;
  if (args.panel.bias != nullptr) {
    copy_bytes(bias, args.panel.bias, static_cast<std::size_t>(columns) * sizeof(float));
    aside.panel.bias = bias;
  }
  run_tile(rows, wide, aside, whole, kInt8Panel);
  for (int r = 0; r < rows; ++r) {
    copy_bytes(c + r * c_row, whole + r * kInt8Panel,
               static_cast<std::size_t>(columns) * sizeof(Out));
  }
}

constexpr int64_t kMostPanels = 8;  // of a group
constexpr int64_t kFewTiles = 10;   // of rows: each asks for a part of the panels that follow

// Where tiles go: into C, or a group's columns of one tile of rows into memory that the next one
// takes.
template <class Out>
struct Target {
  Out* c;
  int64_t c_row;
  bool one_tile = false;

  Out* at(int64_t row, int64_t column, int64_t first_column) const {
    return one_tile ? c + (column - first_column) : c + row * c_row + column;
  }
};

// Panels in groups that stay in L2 while the rows pass by. Where rows are few B is read once and
// from memory: what follows a group is asked for while it is multiplied. Of the epilogue the bias
// is added; finish(rows, column, columns, where the target has them) follows when they are done.
template <class Out, class Finish>
void multiply(const Int8GemmArgs& args, const Block& block, Range panels, const Target<Out>& target,
              const Finish& finish) {
  const auto [shifted, wide] = facts_of(args.packed_b);
  const PackedLayout layout(args.k, args.n, wide != 0);
  const auto* base = static_cast<const char*>(args.packed_b);
  const float* bias = args.epilogue.bias;
  const float* residual = args.epilogue.residual;
  const int64_t residual_row = args.epilogue.residual_stride;
  const int64_t tiles = ceil_div(block.rows.size(), kMostTileRows);
  const int64_t fitting = most<int64_t>(1, kPanelsBytes / most<int64_t>(1, layout.panel_bytes));
  const int64_t group = tiles <= 2 ? 1 : least(kMostPanels, fitting);
  for (int64_t first = panels.begin; first < panels.end; first += group) {
    const int64_t last = least(first + group, panels.end);
    const int64_t column = first * kInt8Panel;
    for (int64_t t = 0; t < tiles; ++t) {
      const Range tile = part(block.rows.size(), t, tiles);
      const int rows = static_cast<int>(tile.size());
      const int64_t row = block.rows.begin + tile.begin;
      for (int64_t p = first; p < last; ++p) {
        const char* panel = base + kLine + p * layout.panel_bytes;
        const int64_t at = p * kInt8Panel;
        TileArgs one{
            block.a + tile.begin * block.a_row,
            block.a_row,
            panel,
            layout.steps,
            panel,
            0,
            {block.facts.scales + tile.begin, block.facts.zeros + tile.begin,
             block.facts.rests + tile.begin},
            {reinterpret_cast<const int32_t*>(base + layout.sums) + at,
             shifted != 0 ? reinterpret_cast<const int32_t*>(base + layout.zeros) + at : nullptr,
             reinterpret_cast<const float*>(base + layout.scales) + at,
             bias != nullptr ? bias + at : nullptr}};
        if (tiles == 1) {
          one.ahead = panel + 8192;
          one.ahead_step = layout.step_bytes;
        } else if (tiles <= kFewTiles) {
          one.ahead = panel + group * layout.panel_bytes + layout.panel_bytes * t / tiles;
          one.ahead_step = ceil_div(layout.step_bytes, tiles);
        }
        Out* c = target.at(row, at, column);
        if (tiles > 2) {
          const int64_t columns = least<int64_t>(kInt8Panel, args.n - at);
          fetch_tile(c, target.c_row, rows, columns);
          if (residual != nullptr)
            fetch_tile(residual + row * residual_row + at, residual_row, rows, columns);
        }
        run_columns(rows, wide != 0, one, args.n - at, c, target.c_row);
      }
      finish(Range{row, row + rows}, column, least(last * kInt8Panel, args.n) - column,
             target.at(row, column, column));
    }
  }
}

TERCEL_ISA_END
