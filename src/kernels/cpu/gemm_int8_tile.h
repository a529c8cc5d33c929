#pragma once
// The inner part of products of 8-bit integers: how bytes lie, and tiles of sums kept in registers.
// Only for sources of tercel_isa_sources.
//
// A step multiplies kStep elements of k for each lane: four bytes where the instruction set has the
// product of bytes (VNNI, tiles), else two, widened to 16 bits (what adds products of bytes in 16
// bits saturates, and would be wrong). B lies in panels of kInt8Panel columns: for each step of k,
// the kStep bytes of each column side by side. A lies in rows.

#include <utility>

#include "src/kernels/cpu/tiles.h"

TERCEL_ISA_BEGIN

#if defined(TERCEL_ISA_avx2_vnni) || defined(TERCEL_ISA_avx512_vnni) || defined(TERCEL_ISA_amx)
constexpr int kStep = 4;
typedef uint8_t RowElement;
#else
constexpr int kStep = 2;
typedef int16_t RowElement;
#endif

#if defined(TERCEL_ISA_generic)
constexpr int kInt8Rows = 4;
#elif defined(TERCEL_ISA_avx2)
constexpr int kInt8Rows = 6;
#else
constexpr int kInt8Rows = 14;
#endif
constexpr int kInt8Panel = 2 * kLanes;
constexpr int kStepElements = kInt8Panel * kStep;  // of B, a step

#if defined(TERCEL_ISA_amx)
constexpr int64_t kPadK = 64;  // a tile's row
#else
constexpr int64_t kPadK = kStep;
#endif

// Sums of products of kStep bytes, a column a lane.
struct Columns {
  Int value;
};

inline Columns load_columns(const int8_t* b) {
#if defined(TERCEL_ISA_avx2_vnni) || defined(TERCEL_ISA_avx512_vnni) || defined(TERCEL_ISA_amx)
  Int bytes;
  copy_bytes(&bytes, b, sizeof(bytes));
  return {bytes};
#elif defined(TERCEL_ISA_avx512)
  return {(Int)_mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(b)))};
#elif defined(TERCEL_ISA_avx2)
  return {(Int)_mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(b)))};
#else
  typedef int8_t Bytes __attribute__((vector_size(2 * kLanes)));
  typedef int16_t Shorts __attribute__((vector_size(4 * kLanes)));
  Bytes bytes;
  copy_bytes(&bytes, b, sizeof(bytes));
  return {(Int) __builtin_convertvector(bytes, Shorts)};
#endif
}

// Wide: already as they are multiplied.
inline Columns load_columns(const int16_t* b) {
  Int pairs;
  copy_bytes(&pairs, b, sizeof(pairs));
  return {pairs};
}

// sum + both products of each lane's pairs of int16_t.
inline Int add_pairs(Int sum, Int a, Int b) {
#if defined(TERCEL_ISA_avx2_vnni)
  return (Int)_mm256_dpwssd_avx_epi32((__m256i)sum, (__m256i)a, (__m256i)b);
#elif defined(TERCEL_ISA_avx512_vnni) || defined(TERCEL_ISA_amx)
  return (Int)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
#elif defined(TERCEL_ISA_avx512)
  return sum + (Int)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif defined(TERCEL_ISA_avx2)
  return sum + (Int)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#elif defined(__x86_64__)
  return sum + (Int)_mm_madd_epi16((__m128i)a, (__m128i)b);
#else
  return sum + ((a << 16) >> 16) * ((b << 16) >> 16) + (a >> 16) * (b >> 16);
#endif
}

inline Int add_products(Int sum, const RowElement* a, Columns b) {
  int32_t step;
  copy_bytes(&step, a, sizeof(step));
#if defined(TERCEL_ISA_avx2_vnni)
  return (Int)_mm256_dpbusd_avx_epi32((__m256i)sum, _mm256_set1_epi32(step), (__m256i)b.value);
#elif defined(TERCEL_ISA_avx512_vnni) || defined(TERCEL_ISA_amx)
  return (Int)_mm512_dpbusd_epi32((__m512i)sum, _mm512_set1_epi32(step), (__m512i)b.value);
#else
  return add_pairs(sum, splat_int(step), b.value);
#endif
}

// What surrounds a panel's sums: (sums - row.zero · column.sum - row.rest · column.zero) scaled,
// and the bias; integers are not scaled.
struct PanelFacts {
  const int32_t* sums;   // null: sums stay as they are
  const int32_t* zeros;  // null: none
  const float* scales;
  const float* bias;  // null: none
};
struct RowFacts {
  float* scales;
  int32_t* zeros;
  int32_t* rests;  // sum of the row - K · zero
};

struct TileArgs {
  const RowElement* a;
  int64_t a_row;
  const void* b;
  int64_t steps;
  const char* ahead;  // what to ask memory for meanwhile, `ahead_step` bytes a step
  int64_t ahead_step;
  RowFacts rows;
  PanelFacts panel;
};

// The columns' factors of what is taken off their sums.
enum class Offsets { none, rows, both };

inline void put(Int value, const RowFacts&, int, const PanelFacts&, int, int32_t* out) {
  copy_bytes(out, &value, sizeof(value));
}
inline void put(Int value, const RowFacts& rows, int r, const PanelFacts& panel, int lane,
                float* out) {
  Vec number =
      __builtin_convertvector(value, Vec) * (splat(rows.scales[r]) * load(panel.scales + lane));
  if (panel.bias != nullptr) number += load(panel.bias + lane);
  store(out, number);
}

template <Offsets OFFSETS>
struct Known {
  static constexpr Offsets kOffsets = OFFSETS;
};

// put(Known) with what is taken off in this panel.
template <class Put>
__attribute__((always_inline)) inline void with_offsets(const PanelFacts& panel, const Put& put) {
  if (panel.sums == nullptr)
    put(Known<Offsets::none>());
  else if (panel.zeros == nullptr)
    put(Known<Offsets::rows>());
  else
    put(Known<Offsets::both>());
}

// Row r of a tile from its two sums.
template <Offsets OFFSETS, class Out>
__attribute__((always_inline)) inline void put_row(Int low, Int high, int r, const RowFacts& rows,
                                                   const PanelFacts& panel, Out* c) {
  const auto put_half = [&](Uint value, int lane) __attribute__((always_inline)) {
    const auto take_off = [&](int32_t factor, const int32_t* of_columns) {
      Int column;
      copy_bytes(&column, of_columns + lane, sizeof(column));
      value -= (Uint)splat_int(factor) * (Uint)column;
    };
    if constexpr (OFFSETS != Offsets::none) take_off(rows.zeros[r], panel.sums);
    if constexpr (OFFSETS == Offsets::both) take_off(rows.rests[r], panel.zeros);
    put((Int)value, rows, r, panel, lane, c + lane);
  };
  put_half((Uint)low, 0);
  put_half((Uint)high, kLanes);
}

// Few rows keep several sums for each element, for enough independent chains.
constexpr int chains(int rows) { return rows == 1 ? 4 : rows == 2 ? 2 : 1; }

// C[ROWS, kInt8Panel], finished. B is of bytes, or wide: of int16_t.
template <class B, int ROWS, class Out>
void int8_tile(const TileArgs& args, Out* c, int64_t c_row) {
  constexpr int kChains = chains(ROWS);
  Int sum[kChains][ROWS][2] = {};
  const int64_t stride = args.a_row;
  // Every third row has a pointer, so that no address needs more than a pointer and a stride.
  const RowElement* a[(ROWS + 2) / 3];
#pragma GCC unroll 16
  for (int i = 0; i < (ROWS + 2) / 3; ++i) a[i] = args.a + 3 * i * stride;
  const B* b = static_cast<const B*>(args.b);
  const char* ahead = args.ahead;
  const auto step = [&](Int(&into)[ROWS][2], int offset) {
    const Columns low = load_columns(b + offset * kStepElements);
    const Columns high = load_columns(b + offset * kStepElements + kStepElements / 2);
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; ++r) {
      const RowElement* row = a[r / 3] + r % 3 * stride + offset * kStep;
      into[r][0] = add_products(into[r][0], row, low);
      into[r][1] = add_products(into[r][1], row, high);
    }
    __builtin_prefetch(ahead, 0, 2);
    __builtin_prefetch(ahead + 64, 0, 2);
    ahead += args.ahead_step;
  };
  int64_t k = args.steps;
  for (; k >= kChains; k -= kChains) {
#pragma GCC unroll 4
    for (int i = 0; i < kChains; ++i) step(sum[i], i);
#pragma GCC unroll 16
    for (int i = 0; i < (ROWS + 2) / 3; ++i) a[i] += kChains * kStep;
    b += kChains * kStepElements;
  }
  for (; k > 0; --k) {
    step(sum[0], 0);
#pragma GCC unroll 16
    for (int i = 0; i < (ROWS + 2) / 3; ++i) a[i] += kStep;
    b += kStepElements;
  }
  const RowFacts rows = args.rows;  // copied: C may lie anywhere
  const PanelFacts panel = args.panel;
  with_offsets(
      panel, [&](auto known) __attribute__((always_inline)) {
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r) {
#pragma GCC unroll 4
          for (int i = 1; i < kChains; ++i) {
            sum[0][r][0] += sum[i][r][0];
            sum[0][r][1] += sum[i][r][1];
          }
          put_row<known.kOffsets>(sum[0][r][0], sum[0][r][1], r, rows, panel, c + r * c_row);
        }
      });
}

template <class Out>
using Int8Tile = void (*)(const TileArgs&, Out*, int64_t);
template <class Out>
struct Int8Tiles {
  Int8Tile<Out> by_rows[kInt8Rows];
};
template <class B, class Out, int... R>
constexpr Int8Tiles<Out> make_int8_tiles(std::integer_sequence<int, R...>) {
  return {{&int8_tile<B, R + 1, Out>...}};
}
template <class B, class Out>
constexpr Int8Tiles<Out> kInt8Tiles =
    make_int8_tiles<B, Out>(std::make_integer_sequence<int, kInt8Rows>());

#if defined(TERCEL_ISA_amx)

constexpr int kAmxRows = 2 * kTileHeight;

// C[rows <= 32, kInt8Panel] by 2 x 2 tiles of 16 x 16 sums; without LOWER, of up to 16 rows by two.
// 32 or 16 rows of A are read. The intrinsics do not tell the compiler all that they read: what was
// written to the rows of A is there before a tile is loaded.
template <bool LOWER, class Out>
void amx_tile(int rows, const TileArgs& args, Out* c, int64_t c_row) {
  alignas(64) int32_t sums[kAmxRows * kInt8Panel];
  __asm__ volatile("" ::: "memory");
  _tile_zero(0);
  _tile_zero(1);
  if constexpr (LOWER) _tile_zero(2);
  if constexpr (LOWER) _tile_zero(3);
  constexpr int kTileSteps = 16;
  const RowElement* a = args.a;
  const auto* b = static_cast<const int8_t*>(args.b);
  const char* ahead = args.ahead;
  for (int64_t k = 0; k < args.steps; k += kTileSteps) {
    for (const char* end = ahead + kTileSteps * args.ahead_step; ahead < end; ahead += 64)
      __builtin_prefetch(ahead, 0, 2);
    _tile_loadd(4, a, args.a_row);
    if constexpr (LOWER) _tile_loadd(5, a + kTileHeight * args.a_row, args.a_row);
    _tile_loadd(6, b, kStepElements);
    _tile_loadd(7, b + kStepElements / 2, kStepElements);
    _tile_dpbusd(0, 4, 6);
    _tile_dpbusd(1, 4, 7);
    if constexpr (LOWER) _tile_dpbusd(2, 5, 6);
    if constexpr (LOWER) _tile_dpbusd(3, 5, 7);
    a += kTileSteps * kStep;
    b += kTileSteps * kStepElements;
  }
  constexpr int kRowBytes = kInt8Panel * 4;
  _tile_stored(0, sums, kRowBytes);
  _tile_stored(1, sums + kLanes, kRowBytes);
  int32_t* lower = sums + kTileHeight * kInt8Panel;
  if constexpr (LOWER) _tile_stored(2, lower, kRowBytes);
  if constexpr (LOWER) _tile_stored(3, lower + kLanes, kRowBytes);
  __asm__ volatile("" ::: "memory");
  with_offsets(args.panel, [&](auto known) {
    for (int r = 0; r < rows; ++r) {
      Int low, high;
      copy_bytes(&low, sums + r * kInt8Panel, sizeof(low));
      copy_bytes(&high, sums + r * kInt8Panel + kLanes, sizeof(high));
      put_row<known.kOffsets>(low, high, r, args.rows, args.panel, c + r * c_row);
    }
  });
}

#endif

TERCEL_ISA_END
