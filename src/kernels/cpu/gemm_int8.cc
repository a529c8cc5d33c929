#include "src/kernels/cpu/gemm_int8.h"

#include "src/kernels/cpu/gemm_int8_tile.h"
#include "src/kernels/cpu/gemm_task.h"
#include "src/kernels/cpu/isa_tables.h"

TERCEL_ISA_BEGIN

constexpr double kProductsPerNanosecond = 200;
// What stays in a core's L2 while rows pass by: of the rows of A, and of B.
constexpr int64_t kRowsBytes = 192 << 10;
constexpr int64_t kPanelsBytes = 384 << 10;
#if defined(TERCEL_ISA_amx)
constexpr int64_t kMostTileRows = kAmxRows;
#else
constexpr int64_t kMostTileRows = kInt8Rows;
#endif
constexpr int64_t kMostRows = (128 + kMostTileRows - 1) / kMostTileRows * kMostTileRows;

// --- B -------------------------------------------------------------------------------------------

// Where the parts of a packed matrix are, in bytes.
struct PackedLayout {
  int64_t panels, steps, panel_bytes, sums, zeros, scales, bytes;

  PackedLayout(int64_t k, int64_t n) {
    panels = ceil_div(n, kInt8Panel);
    steps = round_up(k, kPadK) / kStep;
    panel_bytes = steps * kStepBytes;
    const int64_t columns = round_up(panels * kInt8Panel * 4, kLine);
    sums = kLine + round_up(panels * panel_bytes, kLine);
    zeros = sums + columns;
    scales = zeros + columns;
    bytes = scales + columns;
  }
};

std::size_t int8_packed_bytes(int64_t k, int64_t n) {
  checked_bytes(k + 2 * kPadK, n + 2 * kInt8Panel, 64);
  return static_cast<std::size_t>(PackedLayout(k, n).bytes);
}

// Of unsigned bytes 128 is taken off, here and from the zero point.
void pack_columns(const PackInt8Args& args, const PackedLayout& layout, int64_t panel) {
  auto* base = static_cast<char*>(args.out);
  auto* out = reinterpret_cast<int8_t*>(base + kLine + panel * layout.panel_bytes);
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
    int8_t* to = out + k / kStep * kStepBytes + k % kStep;
    const auto put_row = [&](const auto* from) {
      for (int64_t j = 0; j < columns; ++j) {
        const int value = from[j * args.n_stride] - offset;
        to[j * kStep] = static_cast<int8_t>(value);
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

// The first line says whether the matrix has zero points.
void int8_pack_b(const PackInt8Args& args, ThreadPool& pool) {
  const PackedLayout layout(args.k, args.n);
  int32_t any_zero = args.is_signed ? 0 : 1;
  for (int64_t j = 0; args.zero != nullptr && j < args.n; ++j) any_zero |= args.zero[j] != 0;
  copy_bytes(args.out, &any_zero, sizeof(any_zero));
  for_ranges(pool, layout.panels, static_cast<double>(layout.panel_bytes),
             [&](int64_t begin, int64_t end) {
               for (int64_t p = begin; p < end; ++p) pack_columns(args, layout, p);
             });
}

// --- A -------------------------------------------------------------------------------------------

inline void store_bytes(RowElement* to, Int value) {
#if defined(TERCEL_ISA_avx512) && !defined(TERCEL_ISA_avx512_vnni) && !defined(TERCEL_ISA_amx)
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16((__m512i)value));
#elif defined(TERCEL_ISA_avx512)
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8((__m512i)value));
#else
  typedef RowElement Elements __attribute__((vector_size(sizeof(RowElement) * kLanes)));
  const Elements elements = __builtin_convertvector(value, Elements);
  copy_bytes(to, &elements, sizeof(elements));
#endif
}

inline Int clamp_byte(Int value) {
#if defined(TERCEL_ISA_avx512)
  return (Int)_mm512_max_epi32(_mm512_min_epi32((__m512i)value, _mm512_set1_epi32(255)),
                               _mm512_setzero_si512());
#else
  value = value > 255 ? splat_int(255) : value;
  return value < 0 ? splat_int(0) : value;
#endif
}

// As the header says. `out` has room for whole vectors beyond k.
inline void quantize_row(const float* a, int64_t k, RowElement* out, const RowFacts& facts,
                         int64_t row) {
  Vec low = zeros(), high = zeros(), poison = zeros();
  const auto look = [&](Vec value) {
    low = lesser(value, low);
    high = greater(value, high);
    poison = fma(value, zeros(), poison);
  };
  const int64_t whole = k / kLanes * kLanes;
  for (int64_t i = 0; i < whole; i += kLanes) look(load(a + i));
  if (whole < k) look(load_some(a + whole, k - whole));
  const float least_value = across(low, [](float x, float y) { return x < y ? x : y; });
  const float range = most(across_max(high) - least_value, 1e-30F);
  const float inverse = 255 / range;
  const Vec shift = splat(12582912.0F);  // 1.5 · 2^23: the sum's low bits are the rounded integer
  const auto rounded = [&](Vec value) {
    return (Uint)(value * splat(inverse) + shift) - (Uint)shift;
  };
  const Uint zero = rounded(splat(-least_value));
  const auto quantized = [&](Vec value) { return clamp_byte((Int)(rounded(value) + zero)); };
  for (int64_t i = 0; i < whole; i += kLanes) store_bytes(out + i, quantized(load(a + i)));
  if (whole < k) store_bytes(out + whole, quantized(load_some(a + whole, k - whole)));
  facts.scales[row] = range / 255 + across_sum(poison);
  facts.zeros[row] = (int32_t)zero[0];
  facts.rests[row] = 0;
}

inline void copy_row(const Int8GemmArgs& args, int64_t from, RowElement* out, const RowFacts& facts,
                     int64_t row) {
  const int offset = args.a_signed ? 128 : 0;
  const auto* bytes = static_cast<const uint8_t*>(args.a_bytes) + from * args.a_row;
  const auto flip = static_cast<uint8_t>(offset);
  int32_t sum = 0;
  for (int64_t k = 0; k < args.k; ++k) {
    const auto value = static_cast<uint8_t>(bytes[k] ^ flip);  // of a signed byte: plus 128
    out[k] = static_cast<RowElement>(value);
    sum += value;
  }
  facts.scales[row] = 1;
  facts.zeros[row] = (args.a_zero != nullptr ? args.a_zero[from] : 0) + offset;
  facts.rests[row] =
      static_cast<int32_t>(static_cast<uint32_t>(sum) -
                           static_cast<uint32_t>(args.k) * static_cast<uint32_t>(facts.zeros[row]));
}

// --- The product ---------------------------------------------------------------------------------

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
};

std::size_t int8_workspace(int64_t m, int64_t k, int threads) {
  checked_bytes(most<int64_t>(k, 1) + kLine, kMostRows, 4);
  return checked_bytes(RowsLayout(m, k).bytes, threads, 1);
}

struct Block {
  const RowElement* a;
  int64_t a_row;
  RowFacts facts;
  Range rows;  // of C
};

inline void finish_block(const Int8GemmArgs& args, Range rows, int64_t column, int64_t columns,
                         float* c) {
  finish(c, args.c_row, rows.begin, rows.size(), column, columns, args.epilogue);
}
inline void finish_block(const Int8GemmArgs&, Range, int64_t, int64_t, int32_t*) {}

template <class Out>
inline void run_tile(int rows, const TileArgs& args, Out* c, int64_t c_row) {
#if defined(TERCEL_ISA_amx)
  if (rows > kInt8Rows / 2) return amx_tile(rows, args, c, c_row);
#endif
  kInt8Tiles<Out>.by_rows[rows - 1](args, c, c_row);
}

// One tile of rows by one panel, as wide as there are columns.
template <class Out>
inline void put_tile(int rows, const TileArgs& args, int64_t columns, Out* c, int64_t c_row) {
  if (columns >= kInt8Panel) return run_tile(rows, args, c, c_row);
  alignas(64) Out whole[kMostTileRows * kInt8Panel];
  run_tile(rows, args, whole, kInt8Panel);
  for (int r = 0; r < rows; ++r) {
    copy_bytes(c + r * c_row, whole + r * kInt8Panel,
               static_cast<std::size_t>(columns) * sizeof(Out));
  }
}

// Panels in groups that stay in L2 while the rows pass by. Of few rows B is read once and from
// memory: the next panel is asked for while this one is multiplied.
template <class Out>
void multiply(const Int8GemmArgs& args, const Block& block, Range panels, Out* c) {
  const PackedLayout layout(args.k, args.n);
  const auto* base = static_cast<const char*>(args.packed_b);
  const auto* b = reinterpret_cast<const int8_t*>(base + kLine);
  int32_t any_zero = 0;
  copy_bytes(&any_zero, base, sizeof(any_zero));
  const int64_t tiles = ceil_div(block.rows.size(), kMostTileRows);
  const int64_t fitting = most<int64_t>(1, kPanelsBytes / most<int64_t>(1, layout.panel_bytes));
  const int64_t group = tiles <= 2 ? 1 : least<int64_t>(8, fitting);
  for (int64_t first = panels.begin; first < panels.end; first += group) {
    const int64_t last = least(first + group, panels.end);
    const int64_t column = first * kInt8Panel;
    for (int64_t t = 0; t < tiles; ++t) {
      const Range tile = part(block.rows.size(), t, tiles);
      const int rows = static_cast<int>(tile.size());
      Out* out = c + (block.rows.begin + tile.begin) * args.c_row;
      for (int64_t p = first; p < last; ++p) {
        const int8_t* panel = b + p * layout.panel_bytes;
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
             any_zero != 0 ? reinterpret_cast<const int32_t*>(base + layout.zeros) + at : nullptr,
             reinterpret_cast<const float*>(base + layout.scales) + at}};
        if (tiles == 1) {
          one.ahead = panel + 8192;
          one.ahead_step = kStepBytes;
        } else if (tiles == 2) {
          one.ahead = panel + layout.panel_bytes + t * (layout.panel_bytes / 2);
          one.ahead_step = kStepBytes / 2;
        }
        put_tile(rows, one, args.n - at, out + at, args.c_row);
      }
      finish_block(args, {block.rows.begin + tile.begin, block.rows.begin + tile.end}, column,
                   least(last * kInt8Panel, args.n) - column, out + column);
    }
  }
}

// Rows [m) by panels [p) of all products; `whole_rows`: by all of them.
void run_part(const Int8GemmArgs& args, Range m, Range panels, bool whole_rows,
              const RowsLayout& layout, char* memory) {
  auto* rows = reinterpret_cast<RowElement*>(memory);
  auto* facts = reinterpret_cast<float*>(memory + layout.facts);
  const RowFacts row_facts{facts, reinterpret_cast<int32_t*>(facts + layout.rows),
                           reinterpret_cast<int32_t*>(facts + 2 * layout.rows)};
  const int64_t padded = round_up(args.k, kPadK);
#if defined(TERCEL_ISA_amx)
  begin_tiles();
#endif
  const int64_t blocks = ceil_div(m.size(), layout.rows);
  for (int64_t i = 0; i < blocks; ++i) {
    const Range within = part(m.size(), i, blocks);
    const Range block{m.begin + within.begin, m.begin + within.end};
    for (int64_t r = 0; r < block.size(); ++r) {
      RowElement* row = rows + r * layout.stride;
      if (args.a != nullptr) {
        quantize_row(args.a + (block.begin + r) * args.a_row, args.k, row, row_facts, r);
      } else {
        copy_row(args, block.begin + r, row, row_facts, r);
      }
      for (int64_t k = args.k; k < padded; ++k) row[k] = 0;
    }
    const Block one{rows, layout.stride, row_facts, block};
    for_products(args, kInt8Panel, panels, [&](const Int8GemmArgs& own, Range of_own) {
      if (own.sums != nullptr) {
        multiply(own, one, of_own, own.sums);
      } else {
        multiply(own, one, of_own, own.c);
        if (whole_rows) normalize_rows(own, block);
      }
    });
  }
#if defined(TERCEL_ISA_amx)
  end_tiles();
#endif
}

// By rows, so that each is quantised once; by columns where there are too few rows.
void int8_gemm(const Int8GemmArgs& args, ThreadPool& pool) {
  const int64_t panels = count_panels(args, kInt8Panel);
  if (args.m <= 0 || panels == 0) return;
  const int64_t threads = pool_size(pool);
  const RowsLayout layout(args.m, args.k);
  int64_t rows = least(threads, most<int64_t>(1, args.m / (2 * kMostTileRows)));
  const int64_t columns = least(panels, ceil_div(threads, rows));
  if (rows == threads) rows = round_up(most(rows, ceil_div(args.m, layout.rows)), threads);
  const double cost = static_cast<double>(args.m) * static_cast<double>(panels * kInt8Panel) *
                      static_cast<double>(args.k) / kProductsPerNanosecond;
  for_items(pool, rows * columns, cost, [&](int64_t item, int64_t slot) {
    run_part(args, part(args.m, item / columns, rows), part(panels, item % columns, columns),
             columns == 1, layout, static_cast<char*>(args.workspace) + slot * layout.bytes);
  });
  if (columns > 1) normalize_all(args, pool);
}

TERCEL_ISA_END

TERCEL_ISA_TABLE(GemmInt8Kernels, gemm_int8_kernels, int8_packed_bytes, int8_pack_b, int8_workspace,
                 int8_gemm)
