#pragma once
// Winograd's products of bf16 factors: tiles are transformed in f32 and rounded, and so are the
// weights. Only for sources of tercel_isa_sources with AVX512_BF16.

#include <vector>

#include "src/kernels/cpu/conv_winograd.h"
#include "src/kernels/cpu/gemm_bf16_finish.h"
#include "src/kernels/cpu/gemm_bf16_task.h"

TERCEL_ISA_BEGIN

// The packed weight is a matrix [in_channels, columns] a point, of whole panels of kPanel columns.
inline int64_t winograd_columns(const PackedConvArgs& a) {
  return round_up(a.out_channels, kPanel);
}
inline int64_t winograd_point_pairs(const PackedConvArgs& a) {
  return round_up(pairs_of(a.in_channels), kPairsAligned) * winograd_columns(a);
}

template <int E>
struct PairProducts {
  using Factor = bf16;
  static constexpr int64_t kPanels = kPanel / kPairPanel;  // of pairs, in one of f32
  const PackedConvArgs& a;
  const Pair* packed;

  static void put(bf16* to, Vec value, int64_t count) { store_rounded_upto(to, value, count); }
  void multiply(const WinogradGrid<E>&, const WinogradProduct& own, const bf16* v, float*) const {
    Tiles registers;
    PairRows<kBf16ChunkRows> rows;
    const int64_t k = a.in_channels;
    const int64_t tiles = ceil_div(own.count, tile_rows_of(own.count));
    for (int64_t chunk = 0; chunk < tiles; chunk += kBf16ChunkTiles) {
      const int64_t end = least(tiles, chunk + kBf16ChunkTiles);
      const Range of_chunk{part(own.count, chunk, tiles).begin,
                           part(own.count, end - 1, tiles).end};
      for (int64_t i = 0; i < blocks_of(k); ++i) {
        const int64_t first = 2 * i * kBlockPairs;
        copy_pairs(v + of_chunk.begin * k + first, k, 1, static_cast<int>(of_chunk.size()),
                   least<int64_t>(2 * kBlockPairs, k - first), rows.values);
        const Block block =
            block_of(packed + own.point * winograd_point_pairs(a), k, winograd_columns(a), i);
        for (int64_t t = chunk; t < end; ++t) {
          const Range tile = part(own.count, t, tiles);
          bf16_strip(registers, static_cast<int>(tile.size()),
                     rows.values + (tile.begin - of_chunk.begin) * kStridePairs,
                     block.panels + own.p.begin * kPanels * block.panel_stride, block.panel_stride,
                     block.pairs, own.c + tile.begin * own.c_row, own.c_row, own.p.size() * kPanels,
                     i == 0);
        }
      }
    }
  }
};

inline std::size_t winograd_packed_bytes(const PackedConvArgs& a, int64_t points) {
  checked_bytes(a.in_channels + 2 * kPairsAligned, a.out_channels + kPanel, 4 * points);
  return static_cast<std::size_t>(points * winograd_point_pairs(a)) * sizeof(Pair);
}

template <int E>
void pack_winograd_pairs(const PackedConvArgs& a, const float* w, Pair* out, ThreadPool& pool) {
  constexpr float kNoWeights[9] = {};
  constexpr int64_t kPoints = WinogradGrid<E>::kPoints;
  const int64_t k = a.in_channels, columns = winograd_columns(a);
  const double cost = 50.0 * static_cast<double>(k) * kPairPanel;
  for_ranges(pool, columns / kPairPanel, cost, [&](int64_t begin, int64_t end) {
    std::vector<float> panel(static_cast<std::size_t>(kPoints * k * kPairPanel));
    for (int64_t p = begin; p < end; ++p) {
      for (int64_t j = 0; j < kPairPanel; ++j) {
        const int64_t n = p * kPairPanel + j;
        for (int64_t c = 0; c < k; ++c) {
          float* to = panel.data() + c * kPairPanel + j;
          transform_weight<E>(n < a.out_channels ? w + (n * k + c) * 9 : kNoWeights,
                              [&](int64_t point, float u) { to[point * k * kPairPanel] = u; });
        }
      }
      for (int64_t point = 0; point < kPoints; ++point) {
        pack_blocks(panel.data() + point * k * kPairPanel, kPairPanel, 1, k, columns, p,
                    out + point * winograd_point_pairs(a));
      }
    }
  });
}

TERCEL_ISA_END
