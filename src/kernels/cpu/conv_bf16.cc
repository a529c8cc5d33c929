#include "src/kernels/cpu/conv_bf16.h"

#include <vector>

#include "src/kernels/cpu/conv_bf16_winograd.h"
#include "src/kernels/cpu/conv_task.h"
#include "src/kernels/cpu/gemm_bf16_task.h"
#include "src/kernels/cpu/isa_tables.h"

TERCEL_ISA_BEGIN

bool takes(const PackedConvArgs& a) {
  return a.groups == 1 && !a.planar && a.in_channels > 0 && a.in_channels % 2 == 0;
}

// F(2x2, 3x3): of more points the rounding of factors is felt. Tiles of AMX multiply so fast that
// transforms would take longer than what they save.
#if defined(TERCEL_ISA_amx)
bool is_winograd(const PackedConvArgs&) { return false; }
#else
bool is_winograd(const PackedConvArgs& a) { return has_winograd_windows(a); }
#endif
constexpr int64_t kWinogradPoints = WinogradGrid<2>::kPoints;

int64_t depth(const PackedConvArgs& a) { return a.in_channels * taps_of(a); }

std::size_t packed_bytes(const PackedConvArgs& a) {
  if (is_winograd(a)) return winograd_packed_bytes(a, kWinogradPoints);
  return checked_bytes(round_up(pairs_of(depth(a)), kPairsAligned),
                       ceil_div(a.out_channels, kPairPanel),
                       kPairPanel * static_cast<int64_t>(sizeof(Pair)));
}

// B[(tap, channel), output channel], panel by panel.
void pack(const PackedConvArgs& a, const float* w, void* out, ThreadPool& pool) {
  if (is_winograd(a)) return pack_winograd_pairs<2>(a, w, static_cast<Pair*>(out), pool);
  const int64_t taps = taps_of(a), k = depth(a);
  const double cost = 2.0 * static_cast<double>(k) * kPairPanel;
  for_ranges(pool, ceil_div(a.out_channels, kPairPanel), cost, [&](int64_t begin, int64_t end) {
    std::vector<float> panel(static_cast<std::size_t>(k * kPairPanel));  // [k, columns]
    for (int64_t p = begin; p < end; ++p) {
      const int64_t columns = least<int64_t>(kPairPanel, a.out_channels - p * kPairPanel);
      for (int64_t j = 0; j < columns; ++j) {
        const float* from = w + (p * kPairPanel + j) * k;
        float* to = panel.data() + j;
        for (int64_t tap = 0; tap < taps; ++tap)
          for (int64_t c = 0; c < a.in_channels; ++c, to += kPairPanel) *to = from[c * taps + tap];
      }
      pack_blocks(panel.data(), kPairPanel, 1, k, a.out_channels, p, out);
    }
  });
}

// Columns k of the window matrix of the outputs at `sites`, rounded, to rows of kStridePairs; zeros
// up to the next multiple of kPairsAligned pairs.
void gather_pairs(const PackedConvArgs& a, const Site* sites, int rows, Range k, Pair* out) {
  const int64_t last = round_up(pairs_of(k.size()), kPairsAligned) - kPairsAligned;
  for (int r = 0; r < rows; ++r)
    _mm512_store_si512(out + r * kStridePairs + last, _mm512_setzero_si512());
  for_runs(a, a.x, sites, rows, k, [&](int r, int64_t at, int64_t count, const float* from) {
    Pair* to = out + r * kStridePairs + at / 2;
    // What a store writes beyond `count` is zero, and written over by the tap behind.
    for (int64_t j = 0; j < count; j += 32) {
      _mm512_storeu_si512(
          to + j / 2, from != nullptr ? load_pairs(from + j, count - j) : _mm512_setzero_si512());
    }
  });
}

// Rows [row, row + rows) of the outputs, panels [p), for one block of K.
void conv_tile(Tiles& tiles, const PackedConvArgs& args, const Pair* a, const Block& block,
               int64_t row, int rows, Range p, bool first, bool last) {
  alignas(64) float sums[kBf16FewRows * kBf16GroupPanels * kPairPanel];
  const int64_t column = p.begin * kPairPanel;
  const int64_t columns = least(p.end * kPairPanel, args.out_channels) - column;
  const int64_t stride = p.size() * kPairPanel;
  float* y = args.y + row * args.out_channels + column;
  sum_strip(tiles, rows, a, block, p, y, args.out_channels, columns, first, sums);
  for (int r = 0; r < rows; ++r) {
    float* to = y + r * args.out_channels;
    const float* from = sums + r * stride;
    if (!last) {
      copy_bytes(to, from, static_cast<std::size_t>(columns) * sizeof(float));
      continue;
    }
    const int64_t at = (row + r) * args.out_channels + column;
    for (int64_t j = 0; j < columns; j += kLanes) {
      const int64_t count = columns - j;
      store_upto(to + j, finished(args, load(from + j), column + j, at + j, count), count);
    }
  }
}

// Outputs [m), panels [panels), all of K.
void conv_task(const PackedConvArgs& args, const void* packed, int64_t tile_rows, Range m,
               Range panels) {
  Tiles registers;
  PairRows<kBf16ChunkRows> a;
  Site sites[kBf16ChunkRows];
  const int64_t k = depth(args), blocks = blocks_of(k);
  const int64_t tiles = ceil_div(m.size(), tile_rows);
  const int64_t groups = ceil_div(panels.size(), kBf16GroupPanels);
  for (int64_t chunk = 0; chunk < tiles; chunk += kBf16ChunkTiles) {
    const int64_t end = least(tiles, chunk + kBf16ChunkTiles);
    const int64_t begin = m.begin + part(m.size(), chunk, tiles).begin;
    const auto rows = static_cast<int>(m.begin + part(m.size(), end - 1, tiles).end - begin);
    find_sites(args, begin, rows, sites);
    for (int64_t i = 0; i < blocks; ++i) {
      const int64_t first = 2 * i * kBlockPairs;
      gather_pairs(args, sites, rows, {first, least(k, first + 2 * kBlockPairs)}, a.values);
      const Block block = block_of(packed, k, args.out_channels, i);
      for (int64_t g = 0; g < groups; ++g) {
        const Range of_group = part(panels.size(), g, groups);
        const Range p{panels.begin + of_group.begin, panels.begin + of_group.end};
        for (int64_t t = chunk; t < end; ++t) {
          const Range tile = part(m.size(), t, tiles);
          const int64_t row = m.begin + tile.begin;
          conv_tile(registers, args, a.values + (row - begin) * kStridePairs, block, row,
                    static_cast<int>(tile.size()), p, i == 0, i == blocks - 1);
        }
      }
    }
  }
}

std::size_t workspace(const PackedConvArgs& a, int threads) {
  return is_winograd(a) ? winograd_workspace<2>(a, threads) : 0;
}

void conv(const PackedConvArgs& args, const void* packed, ThreadPool& pool) {
  const int64_t m = args.batch * positions(args);
  if (m * args.out_channels == 0) return;
  if (is_winograd(args))
    return conv_winograd<2>(PairProducts<2>{args, static_cast<const Pair*>(packed)}, pool);
  const int64_t panels = ceil_div(args.out_channels, kPairPanel);
  const Cut cut(m, panels, pool_size(pool));
  const double cost = 2.0 * static_cast<double>(m) * static_cast<double>(depth(args)) *
                      static_cast<double>(args.out_channels) / kBf16FlopsPerNanosecond;
  const double grain_cost = cost < kNanosecondsWorthSharing ? 0 : kNanosecondsWorthSharing;
  for_ranges(pool, cut.rows * cut.groups, grain_cost, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      conv_task(args, packed, cut.tile_rows, part(m, i / cut.groups, cut.rows),
                part(panels, i % cut.groups, cut.groups));
    }
  });
}

TERCEL_ISA_END

TERCEL_ISA_TABLE(ConvBf16Kernels, conv_bf16_kernels, takes, packed_bytes, pack, workspace, conv)
