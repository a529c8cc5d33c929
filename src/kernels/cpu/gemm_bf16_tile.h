#pragma once
// The inner part of the products of bf16: rows of A as pairs of k, panels of B, and tiles of C in
// registers. Only for sources of tercel_isa_sources with AVX512_BF16.

#include <utility>

#include "src/kernels/cpu/tiles.h"

TERCEL_ISA_BEGIN

typedef uint32_t Pair;  // two bf16 of ascending k, the first in the low half

constexpr int kPairPanel = 16;     // columns of a panel of B
constexpr int kPairsAligned = 16;  // K of a packed B is a multiple of so many pairs

// Pairs of a block of K, and the fixed stride of A's rows in it: see gemm_tile.h.
constexpr int kBlockPairs = 384;
constexpr int kStridePairs = kBlockPairs + 16;

// Rows of a tile of C. A product of at most kBf16FewRows rows is one tile, so that B passes once.
#if defined(TERCEL_ISA_amx)
constexpr int kBf16Rows = 32;
constexpr int kBf16FewRows = 32;
#else
constexpr int kBf16Rows = 14;
constexpr int kBf16FewRows = 28;
#endif

template <int ROWS>
struct PairRows {
  alignas(64) Pair values[ROWS * kStridePairs];
};
using PairBlock = PairRows<kBf16FewRows>;

inline int64_t pairs_of(int64_t k) { return ceil_div(k, 2); }

inline __m512i round_pairs(__m512 low, __m512 high) {
  return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

// 32 values from `from`, of which `count` exist.
inline __m512i load_pairs(const float* from, int64_t count) {
  if (count >= 32) return round_pairs(load(from), load(from + 16));
  const Vec low = count >= 16 ? load(from) : load_some(from, count);
  return round_pairs(low, count > 16 ? load_some(from + 16, count - 16) : zeros());
}
inline __m512i load_pairs(const bf16* from, int64_t count) {
  if (count >= 32) return _mm512_loadu_si512(from);
  return _mm512_maskz_loadu_epi16(static_cast<__mmask32>((uint64_t{1} << count) - 1), from);
}
inline __m512i load_pairs(const f16* from, int64_t count) {
  const Vec low = count >= 16 ? load(from) : load_some(from, count);
  if (count <= 16) return round_pairs(low, zeros());
  return round_pairs(low, count >= 32 ? load(from + 16) : load_some(from + 16, count - 16));
}

// Rows of kc values each; the pairs up to the next multiple of kPairsAligned are zero.
template <class T>
inline void copy_pairs(const T* a, int64_t row_stride, int64_t column_stride, int rows, int64_t kc,
                       Pair* out) {
  for (int r = 0; r < rows; ++r, a += row_stride, out += kStridePairs) {
    if (column_stride == 1) {
      for (int64_t k = 0; k < kc; k += 32)
        _mm512_store_si512(out + k / 2, load_pairs(a + k, kc - k));
    } else {
      for (int64_t k = 0; k < kc; k += 32) {
        T row[32] = {};
        const int64_t count = least<int64_t>(32, kc - k);
        for (int64_t i = 0; i < count; ++i) row[i] = a[(k + i) * column_stride];
        _mm512_store_si512(out + k / 2, load_pairs(row, count));
      }
    }
  }
}

// 16 x 16 pairs, rows become columns.
inline void transpose_pairs(__m512i (&rows)[16]) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    rows[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    rows[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    rows[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    rows[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(rows[i], rows[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(rows[i], rows[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(rows[i + 8], rows[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(rows[i + 8], rows[i + 12], 0xdd);
  }
  for (int i = 0; i < 8; ++i) {
    rows[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    rows[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
  }
}

// One panel, from B[k, n] at k * k_stride + n * n_stride, `kc` values of k and `columns` columns.
template <class T>
inline void pack_pairs(const T* b, int64_t k_stride, int64_t n_stride, int64_t kc, int64_t columns,
                       Pair* out) {
  for (int64_t k = 0; k < kc; k += 32, out += 16 * kPairPanel) {
    const T* from = b + k * k_stride;
    const int64_t steps = least<int64_t>(32, kc - k);
    __m512i block[16] = {};
    if (k_stride == 1) {
      for (int64_t j = 0; j < columns; ++j) block[j] = load_pairs(from + j * n_stride, steps);
      transpose_pairs(block);
    } else {
      const auto row = [&](int64_t i) {
        if (i >= steps) return zeros();
        const T* start = from + i * k_stride;
        if (n_stride == 1) return columns == 16 ? load(start) : load_some(start, columns);
        T values[16] = {};
        for (int64_t j = 0; j < columns; ++j) values[j] = start[j * n_stride];
        return load(values);
      };
      const __m512i order =
          _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22,
                           6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
      for (int i = 0; i < 16; ++i) {
        block[i] = _mm512_permutexvar_epi16(order, round_pairs(row(2 * i), row(2 * i + 1)));
      }
    }
    for (int i = 0; i < 16; ++i) _mm512_store_si512(out + i * kPairPanel, block[i]);
  }
}

#if defined(TERCEL_ISA_amx)

// Far enough ahead that the weights of a product of few rows come at the memory's rate.
constexpr int64_t kBytesAhead = 4096;

// C[rows, PANELS * kPairPanel] for the 1 or 2 (if LOWER) x PANELS tiles that are set up.
template <bool LOWER, bool TWO>
void amx_tile(const Pair* a, const Pair* b, int64_t panel_stride, int64_t pairs, float* c,
              int64_t c_row, bool first) {
  const auto c_bytes = static_cast<std::size_t>(c_row) * sizeof(float);
  float* lower = c + kTileHeight * c_row;
  __asm__ volatile("" ::: "memory");  // the intrinsics do not say which memory they use
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  if (!first) {
    _tile_loadd(0, c, c_bytes);
    if constexpr (TWO) _tile_loadd(1, c + kPairPanel, c_bytes);
    if constexpr (LOWER) _tile_loadd(2, lower, c_bytes);
    if constexpr (LOWER && TWO) _tile_loadd(3, lower + kPairPanel, c_bytes);
  }
  for (int64_t k = 0; k < pairs; k += 16) {
    const Pair* ahead = b + k * kPairPanel + kBytesAhead / sizeof(Pair);
    for (int i = 0; i < 16 * kPairPanel; i += 16) {
      __builtin_prefetch(ahead + i, 0, 2);
      if constexpr (TWO) __builtin_prefetch(ahead + panel_stride + i, 0, 2);
    }
    _tile_loadd(4, a + k, kStridePairs * sizeof(Pair));
    if constexpr (LOWER) _tile_loadd(5, a + k + 16 * kStridePairs, kStridePairs * sizeof(Pair));
    _tile_loadd(6, b + k * kPairPanel, kPairPanel * sizeof(Pair));
    if constexpr (TWO) {
      _tile_loadd(7, b + k * kPairPanel + panel_stride, kPairPanel * sizeof(Pair));
    }
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (TWO) _tile_dpbf16ps(1, 4, 7);
    if constexpr (LOWER) _tile_dpbf16ps(2, 5, 6);
    if constexpr (LOWER && TWO) _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, c, c_bytes);
  if constexpr (TWO) _tile_stored(1, c + kPairPanel, c_bytes);
  if constexpr (LOWER) _tile_stored(2, lower, c_bytes);
  if constexpr (LOWER && TWO) _tile_stored(3, lower + kPairPanel, c_bytes);
  __asm__ volatile("" ::: "memory");
}

// C[rows, panels * kPairPanel]: whole panels, C is as wide.
inline void bf16_strip(Tiles& tiles, int rows, const Pair* a, const Pair* b, int64_t panel_stride,
                       int64_t pairs, float* c, int64_t c_row, int64_t panels, bool first) {
  const bool lower = rows > kTileHeight;
  tiles.set_rows(rows);
  for (; panels >= 2; panels -= 2, b += 2 * panel_stride, c += 2 * kPairPanel) {
    (lower ? amx_tile<true, true> : amx_tile<false, true>)(a, b, panel_stride, pairs, c, c_row,
                                                           first);
  }
  if (panels > 0) {
    (lower ? amx_tile<true, false> : amx_tile<false, false>)(a, b, panel_stride, pairs, c, c_row,
                                                             first);
  }
}

#else

// Far enough ahead that the weights of a product of few rows come at the memory's rate.
constexpr int64_t kBytesAhead = 8192;

// C[ROWS, PANELS * kPairPanel] over `pairs` pairs; `first` begins the chains at zero.
template <int ROWS, int PANELS>
void bf16_tile(const Pair* a, const Pair* b, int64_t panel_stride, int64_t pairs, float* c,
               int64_t c_row, bool first) {
  Vec sum[ROWS][PANELS];
#pragma GCC unroll 32
  for (int r = 0; r < ROWS; ++r) {
#pragma GCC unroll 8
    for (int j = 0; j < PANELS; ++j) sum[r][j] = first ? zeros() : load(c + r * c_row + j * 16);
  }
  for (int64_t k = 0; k < pairs; ++k) {
    __m512bh row[PANELS];
#pragma GCC unroll 8
    for (int j = 0; j < PANELS; ++j) {
      row[j] = (__m512bh)_mm512_load_si512(b + j * panel_stride);
      __builtin_prefetch(reinterpret_cast<const char*>(b + j * panel_stride) + kBytesAhead, 0, 2);
    }
#pragma GCC unroll 32
    for (int r = 0; r < ROWS; ++r) {
      const auto value = (__m512bh)_mm512_set1_epi32(static_cast<int>(a[r * kStridePairs]));
#pragma GCC unroll 8
      for (int j = 0; j < PANELS; ++j) sum[r][j] = _mm512_dpbf16_ps(sum[r][j], row[j], value);
    }
    a += 1;
    b += kPairPanel;
  }
#pragma GCC unroll 32
  for (int r = 0; r < ROWS; ++r) {
#pragma GCC unroll 8
    for (int j = 0; j < PANELS; ++j) store(c + r * c_row + j * 16, sum[r][j]);
  }
}

// Few rows read several panels side by side, for enough independent chains.
constexpr int panels_at_once(int rows) { return rows > 14 ? 1 : rows > 7 ? 2 : rows > 1 ? 3 : 4; }

using Bf16Tile = void (*)(const Pair*, const Pair*, int64_t, int64_t, float*, int64_t, bool);

struct Bf16Tiles {
  Bf16Tile one[kBf16FewRows];   // by rows - 1, one panel
  Bf16Tile wide[kBf16FewRows];  // panels_at_once(rows)
};
template <int... R>
constexpr Bf16Tiles make_bf16_tiles(std::integer_sequence<int, R...>) {
  return {{&bf16_tile<R + 1, 1>...}, {&bf16_tile<R + 1, panels_at_once(R + 1)>...}};
}
constexpr Bf16Tiles kBf16Tiles = make_bf16_tiles(std::make_integer_sequence<int, kBf16FewRows>());

// C[rows, panels * kPairPanel]: whole panels, C is as wide.
inline void bf16_strip(Tiles&, int rows, const Pair* a, const Pair* b, int64_t panel_stride,
                       int64_t pairs, float* c, int64_t c_row, int64_t panels, bool first) {
  const int wide = panels_at_once(rows);
  for (; panels >= wide; panels -= wide) {
    kBf16Tiles.wide[rows - 1](a, b, panel_stride, pairs, c, c_row, first);
    b += wide * panel_stride;
    c += wide * kPairPanel;
  }
  for (; panels > 0; --panels, b += panel_stride, c += kPairPanel) {
    kBf16Tiles.one[rows - 1](a, b, panel_stride, pairs, c, c_row, first);
  }
}

#endif

TERCEL_ISA_END
