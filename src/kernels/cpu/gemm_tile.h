#pragma once
// The inner part of every matrix product: packing of B into panels and tiles of C kept in
// registers. Only for sources of tercel_isa_sources.

#include <utility>

#include "src/kernels/cpu/simd.h"

TERCEL_ISA_BEGIN

#if defined(TERCEL_ISA_generic)
constexpr int kTileRows = 4;
#elif defined(TERCEL_ISA_avx2)
constexpr int kTileRows = 6;
#else
constexpr int kTileRows = 14;
#endif
constexpr int kPanel = 2 * kLanes;  // columns of a panel of B

// Rows of A are copied in blocks of kBlockK to a fixed stride: a tile's rows then stay in L1, on
// lines of different sets, and are addressed by constants.
constexpr int kBlockK = 384;
constexpr int kStrideA = kBlockK + 16;

// Of B, what a core's L2 should hold while all rows pass by: kBlockK x 256 floats.
constexpr int kGroupPanels = 256 / kPanel;

struct ABlock {
  alignas(64) float values[kTileRows * kStrideA];
};

constexpr int64_t kLine = 64;  // bytes of a cache line
constexpr int64_t kRowsAhead = 3;

inline void copy_a(const float* a, int64_t row_stride, int64_t column_stride, int rows, int64_t kc,
                   float* out) {
  for (int r = 0; r < rows; ++r, a += row_stride, out += kStrideA) {
    if (column_stride == 1) {
      if (r + kRowsAhead < rows) {
        const float* ahead = a + kRowsAhead * row_stride;
        for (int64_t k = 0; k < kc; k += kLine / sizeof(float)) fetch_to_l1(ahead + k);
      }
      int64_t k = 0;
      for (; k + kLanes <= kc; k += kLanes) store(out + k, load(a + k));
      if (k < kc) store_some(out + k, load_some(a + k, kc - k), kc - k);
    } else {
      for (int64_t k = 0; k < kc; ++k) out[k] = a[k * column_stride];
    }
  }
}

// Memory that is fetched into L2 while a tile is computed, because a later one reads it: from
// `from` on, `lines` cache lines for every kStepsAhead steps of k.
constexpr int64_t kStepsAhead = 4;
struct Ahead {
  const char* from = nullptr;
  int64_t lines = 0;
};

// One step of k: row k of the panels of B, two vectors each, and each element of column k of A.
template <int ROWS, int VECTORS, class T>
inline void gemm_step(const float* a, const T* b, int64_t panel_stride, Vec (&sum)[ROWS][VECTORS]) {
  Vec row[VECTORS];
#pragma GCC unroll 16
  for (int j = 0; j < VECTORS; ++j) row[j] = load(b + (j / 2) * panel_stride + (j % 2) * kLanes);
#pragma GCC unroll 16
  for (int r = 0; r < ROWS; ++r) {
    const Vec value = splat(a[r * kStrideA]);
#pragma GCC unroll 16
    for (int j = 0; j < VECTORS; ++j) sum[r][j] = fma(value, row[j], sum[r][j]);
  }
}

// C[rows, VECTORS * kLanes] over kc steps of k; `first` begins the chains at zero.
template <int ROWS, int VECTORS, class T>
void gemm_tile(const float* a, const T* b, int64_t panel_stride, int64_t kc, float* c,
               int64_t c_row, bool first, Ahead ahead) {
  Vec sum[ROWS][VECTORS];
#pragma GCC unroll 16
  for (int r = 0; r < ROWS; ++r) {
#pragma GCC unroll 16
    for (int j = 0; j < VECTORS; ++j) {
      sum[r][j] = first ? zeros() : load(c + r * c_row + j * kLanes);
    }
  }
  int64_t k = 0;
  for (; k + kStepsAhead <= kc; k += kStepsAhead) {
    for (int64_t i = 0; i < ahead.lines; ++i, ahead.from += kLine) fetch_to_l2(ahead.from);
#pragma GCC unroll 4
    for (int64_t i = 0; i < kStepsAhead; ++i) {
      gemm_step<ROWS, VECTORS>(a + i, b + i * kPanel, panel_stride, sum);
    }
    a += kStepsAhead;
    b += kStepsAhead * kPanel;
  }
  for (; k < kc; ++k, ++a, b += kPanel) gemm_step<ROWS, VECTORS>(a, b, panel_stride, sum);
#pragma GCC unroll 16
  for (int r = 0; r < ROWS; ++r) {
#pragma GCC unroll 16
    for (int j = 0; j < VECTORS; ++j) store(c + r * c_row + j * kLanes, sum[r][j]);
  }
}

// A few rows more than a tile has, by one vector of columns at a time: B passes once, where two
// tiles of half the rows would read it twice.
#if defined(TERCEL_ISA_avx512)
constexpr int kTallRows = 16;
#else
constexpr int kTallRows = kTileRows;  // too few registers
#endif

// A few rows read several panels side by side, for enough independent chains.
constexpr int wide_panels(int rows) { return rows == 1 ? 4 : rows == 2 ? 2 : 1; }

template <class T>
using GemmTile = void (*)(const float*, const T*, int64_t, int64_t, float*, int64_t, bool, Ahead);

template <class T>
struct GemmTiles {
  GemmTile<T> one[kTileRows];   // by rows - 1, one panel
  GemmTile<T> wide[kTileRows];  // wide_panels(rows) panels
};

template <class T, int... R>
constexpr GemmTiles<T> make_gemm_tiles(std::integer_sequence<int, R...>) {
  return {{&gemm_tile<R + 1, 2, T>...}, {&gemm_tile<R + 1, 2 * wide_panels(R + 1), T>...}};
}
template <class T>
constexpr GemmTiles<T> kGemmTiles =
    make_gemm_tiles<T>(std::make_integer_sequence<int, kTileRows>());

// A tile whose last columns do not exist: computed aside, as wide as a panel.
template <class T>
inline void gemm_edge(int rows, const float* a, const T* b, int64_t kc, float* c, int64_t c_row,
                      int64_t columns, bool first, Ahead ahead) {
  alignas(64) float whole[kTileRows * kPanel];
  const auto bytes = static_cast<std::size_t>(columns) * sizeof(float);
  if (!first) {
    for (int r = 0; r < rows; ++r) copy_bytes(whole + r * kPanel, c + r * c_row, bytes);
    for (int r = 0; r < rows; ++r) {
      for (int64_t j = columns; j < kPanel; ++j) whole[r * kPanel + j] = 0;
    }
  }
  kGemmTiles<T>.one[rows - 1](a, b, 0, kc, whole, kPanel, first, ahead);
  for (int r = 0; r < rows; ++r) copy_bytes(c + r * c_row, whole + r * kPanel, bytes);
}

// C[rows, columns] over kc steps of k. `a` has the stride kStrideA; `b` is the first panel at the
// block's first k, the next panel `panel_stride` elements on.
template <class T>
inline void gemm_strip(int rows, const float* a, const T* b, int64_t panel_stride, int64_t kc,
                       float* c, int64_t c_row, int64_t columns, bool first) {
  const int wide = wide_panels(rows);
  for (; columns >= wide * kPanel; columns -= wide * kPanel) {
    kGemmTiles<T>.wide[rows - 1](a, b, panel_stride, kc, c, c_row, first, Ahead());
    b += wide * panel_stride;
    c += wide * kPanel;
  }
  for (; columns >= kPanel; columns -= kPanel, b += panel_stride, c += kPanel) {
    kGemmTiles<T>.one[rows - 1](a, b, panel_stride, kc, c, c_row, first, Ahead());
  }
  if (columns > 0) gemm_edge(rows, a, b, kc, c, c_row, columns, first, Ahead());
}

// kLanes columns of kLanes elements of B, `n_stride` between them, to rows that are kPanel apart.
template <class Source, class Packed>
inline void pack_square(const Source* b, int64_t n_stride, Packed* out) {
  Vec square[kLanes];
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) square[i] = load(b + i * n_stride);
  transpose(square);
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) store(out + i * kPanel, square[i]);
}

// One panel, k in [0, kc), from B[k, n] at k * k_stride + n * n_stride; missing columns are zero.
template <class Source, class Packed>
inline void pack_panel(const Source* b, int64_t k_stride, int64_t n_stride, int64_t kc,
                       int64_t columns, Packed* out) {
  alignas(64) float block[kLanes][kPanel] = {};
  for (int64_t k0 = 0; k0 < kc; k0 += kLanes) {
    const int64_t steps = least<int64_t>(kLanes, kc - k0);
    const Source* from = b + k0 * k_stride;
    if (n_stride == 1 && columns == kPanel) {
      for (int64_t k = 0; k < steps; ++k, from += k_stride, out += kPanel) {
        store(out, load(from));
        store(out + kLanes, load(from + kLanes));
      }
      continue;
    }
    if (k_stride == 1 && columns == kPanel && steps == kLanes) {
      pack_square(from, n_stride, out);
      pack_square(from + kLanes * n_stride, n_stride, out + kLanes);
      out += kLanes * kPanel;
      continue;
    }
    if (n_stride == 1) {
      for (int64_t k = 0; k < steps; ++k) {
        for (int64_t j = 0; j < columns; j += kLanes) {
          const Source* start = from + k * k_stride + j;
          const int64_t left = columns - j;
          store(block[k] + j, left >= kLanes ? load(start) : load_some(start, left));
        }
      }
    } else if (k_stride == 1) {
      for (int64_t j = 0; j < columns; j += kLanes) {
        Vec square[kLanes] = {};
        for (int64_t i = 0; i < least<int64_t>(kLanes, columns - j); ++i) {
          const Source* start = from + (j + i) * n_stride;
          square[i] = steps == kLanes ? load(start) : load_some(start, steps);
        }
        transpose(square);
        for (int k = 0; k < kLanes; ++k) store(block[k] + j, square[k]);
      }
    } else {
      for (int64_t k = 0; k < steps; ++k) {
        for (int64_t j = 0; j < columns; ++j) {
          block[k][j] = load_some(from + k * k_stride + j * n_stride, 1)[0];
        }
      }
    }
    for (int64_t k = 0; k < steps; ++k, out += kPanel) {
      store(out, load(block[k]));
      store(out + kLanes, load(block[k] + kLanes));
    }
  }
}

TERCEL_ISA_END
