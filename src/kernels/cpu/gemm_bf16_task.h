#pragma once
// How products of bf16 are cut, and how a packed B lies in memory. Only for sources of
// tercel_isa_sources with AVX512_BF16.

#include "src/kernels/cpu/gemm_bf16_tile.h"
#include "src/kernels/cpu/gemm_task.h"

TERCEL_ISA_BEGIN

constexpr double kBytesPerNanosecond = 20;
constexpr double kBf16FlopsPerNanosecond = 200;
constexpr double kNanosecondsWorthSharing = 8000;
constexpr int64_t kBf16GroupPanels = 16;  // of B, kBlockPairs x 256 pairs stay in a core's L2

// A packed B is one block of K after the other, in each of them panel after panel, so that a task
// reads what follows.
struct Block {
  int64_t pairs;         // that exist
  const Pair* panels;    // the first of them
  int64_t panel_stride;  // in pairs
};
inline Block block_of(const void* packed, int64_t k, int64_t n, int64_t i) {
  const int64_t pairs = least<int64_t>(kBlockPairs, pairs_of(k) - i * kBlockPairs);
  return {pairs, static_cast<const Pair*>(packed) + i * kBlockPairs * round_up(n, kPairPanel),
          round_up(pairs, kPairsAligned) * kPairPanel};
}
inline int64_t blocks_of(int64_t k) { return most<int64_t>(1, ceil_div(pairs_of(k), kBlockPairs)); }

// Panel p of a packed [k, n], from the panel's first column of B on.
template <class T>
inline void pack_blocks(const T* b, int64_t k_stride, int64_t n_stride, int64_t k, int64_t n,
                        int64_t p, void* packed) {
  for (int64_t i = 0; i < blocks_of(k); ++i) {
    const Block block = block_of(packed, k, n, i);
    const int64_t first = 2 * i * kBlockPairs;
    pack_pairs(b + first * k_stride, k_stride, n_stride, least(2 * block.pairs, k - first),
               least<int64_t>(kPairPanel, n - p * kPairPanel),
               const_cast<Pair*>(block.panels) + p * block.panel_stride);
  }
}

// Panels [p) of a block of K to sums[rows, p], begun at zero when it is the first, else at what c
// holds of its `columns`.
template <class C>
inline void sum_strip(Tiles& tiles, int rows, const Pair* a, const Block& block, Range p,
                      const C* c, int64_t c_row, int64_t columns, bool first, float* sums) {
  const int64_t stride = p.size() * kPairPanel;
  for (int r = 0; r < rows && !first; ++r)
    copy_bytes(sums + r * stride, c + r * c_row, static_cast<std::size_t>(columns) * sizeof(C));
  bf16_strip(tiles, rows, a, block.panels + p.begin * block.panel_stride, block.panel_stride,
             block.pairs, sums, stride, p.size(), first);
}

// Tiles whose rows of A are copied at once: they meet each panel of B while it is in a near cache.
constexpr int64_t kBf16ChunkTiles = kBf16Rows > 16 ? 2 : 5;
constexpr int64_t kBf16ChunkRows = kBf16ChunkTiles * kBf16Rows;
static_assert(kBf16ChunkRows >= kBf16FewRows);
// So many rows are worth all of B, which then comes to each core.
constexpr int64_t kRowsOfThread = 64;

// The most rows of a tile of m rows.
inline int64_t tile_rows_of(int64_t m) { return m <= kBf16FewRows ? kBf16FewRows : kBf16Rows; }

// How C is cut into tasks: by rows alone when each thread gets kRowsOfThread of them; else by
// columns first, so that each core keeps its own part of B. Tiles have `tile_rows` rows.
struct Cut {
  int64_t rows = 1, groups = 1, tile_rows;

  Cut(int64_t m, int64_t panels, int64_t threads) : tile_rows(tile_rows_of(m)) {
    if (m >= kRowsOfThread * threads) {
      rows = round_up(ceil_div(m, 2 * kBf16ChunkRows), threads);
      return;
    }
    if (threads <= 1) return;
    groups = least(round_up(ceil_div(panels, kBf16GroupPanels), threads), panels);
    if (groups < 2 * threads) rows = least(ceil_div(2 * threads, groups), ceil_div(m, tile_rows));
  }
};

TERCEL_ISA_END
