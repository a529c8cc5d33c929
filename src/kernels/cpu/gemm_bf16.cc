#include "src/kernels/cpu/gemm_bf16.h"

#include "src/kernels/cpu/gemm_bf16_finish.h"
#include "src/kernels/cpu/gemm_bf16_task.h"
#include "src/kernels/cpu/isa_tables.h"

TERCEL_ISA_BEGIN

std::size_t packed_bytes(int64_t k, int64_t n) {
  return checked_bytes(round_up(pairs_of(k), kPairsAligned), ceil_div(n, kPairPanel),
                       kPairPanel * static_cast<int64_t>(sizeof(Pair)));
}

template <class Source>
void pack_all(const PackBArgs& args, ThreadPool& pool) {
  const auto* b = static_cast<const Source*>(args.b);
  const double cost = static_cast<double>(args.k) * kPairPanel / 2;
  for_ranges(pool, ceil_div(args.n, kPairPanel), cost, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      pack_blocks(b + p * kPairPanel * args.n_stride, args.k_stride, args.n_stride, args.k, args.n,
                  p, args.out);
    }
  });
}

void pack_b(const PackBArgs& args, ThreadPool& pool) {
  switch (args.source) {
    case Dtype::f32:
      return pack_all<float>(args, pool);
    case Dtype::f16:
      return pack_all<f16>(args, pool);
    case Dtype::bf16:
      return pack_all<bf16>(args, pool);
    default:
      fail_dtype("GEMM", args.source);
  }
}

// One tile of C, rows [row, row + rows) of it and panels [p), for one block of K: the first, the
// last, or both. A few panels at a time, so that their sums are near when they are finished.
template <class C>
void run_bf16_tile(Tiles& tiles, const GemmBf16Args& args, const Pair* a, const Block& block,
                   int64_t row, int rows, Range p, bool first, bool last) {
  constexpr int64_t kPanels = 4;
  alignas(64) float sums[kBf16FewRows * kPanels * kPairPanel];
  const GemmEpilogue& e = args.epilogue;
  for (Range few{p.begin, 0}; few.begin < p.end; few.begin = few.end) {
    few.end = least(few.begin + kPanels, p.end);
    const int64_t column = few.begin * kPairPanel;
    const int64_t columns = least(few.end * kPairPanel, args.n) - column;
    C* c = static_cast<C*>(args.c) + row * args.c_row + column;
    fetch_tile(c, args.c_row, rows, columns);
    if (last && e.residual != nullptr)
      fetch_tile(e.residual + row * e.residual_stride + column, e.residual_stride, rows, columns);
    sum_strip(tiles, rows, a, block, few, c, args.c_row, columns, first, sums);
    finish_rounded(sums, few.size() * kPairPanel, c, args.c_row, row, rows, column, columns,
                   last ? e : GemmEpilogue{});
  }
}

// Rows [m), panels [p) of the Cs of all products, all of K.
template <class A, class C>
void run_bf16_task(const GemmBf16Args& args, int64_t tile_rows, Range m, Range panels) {
  Tiles registers;
  PairRows<kBf16ChunkRows> a;
  const int64_t blocks = blocks_of(args.k);
  const int64_t tiles = ceil_div(m.size(), tile_rows);
  for (int64_t chunk = 0; chunk < tiles; chunk += kBf16ChunkTiles) {
    const int64_t end = least(tiles, chunk + kBf16ChunkTiles);
    const int64_t begin = m.begin + part(m.size(), chunk, tiles).begin;
    const auto rows = static_cast<int>(m.begin + part(m.size(), end - 1, tiles).end - begin);
    for (int64_t i = 0; i < blocks; ++i) {
      const int64_t k = 2 * i * kBlockPairs;
      copy_pairs(static_cast<const A*>(args.a) + begin * args.a_row + k * args.a_column, args.a_row,
                 args.a_column, rows, least<int64_t>(2 * kBlockPairs, args.k - k), a.values);
      for_products(args, kPairPanel, panels, [&](const GemmBf16Args& own, Range of_own) {
        const Block block = block_of(own.packed_b, own.k, own.n, i);
        const int64_t groups = ceil_div(of_own.size(), kBf16GroupPanels);
        for (int64_t g = 0; g < groups; ++g) {
          const Range of_group = part(of_own.size(), g, groups);
          const Range p{of_own.begin + of_group.begin, of_own.begin + of_group.end};
          for (int64_t t = chunk; t < end; ++t) {
            const Range tile = part(m.size(), t, tiles);
            const int64_t row = m.begin + tile.begin;
            run_bf16_tile<C>(registers, own, a.values + (row - begin) * kStridePairs, block, row,
                             static_cast<int>(tile.size()), p, i == 0, i == blocks - 1);
          }
        }
      });
    }
  }
}

template <class A, class C>
void gemm_of(const GemmBf16Args& args, ThreadPool& pool) {
  const int64_t panels = count_panels(args, kPairPanel);
  if (panels == 0) return;
  const Cut cut(args.m, panels, pool_size(pool));
  const double size = static_cast<double>(panels * kPairPanel) * static_cast<double>(args.k);
  const double cost = most(2 * size * static_cast<double>(args.m) / kBf16FlopsPerNanosecond,
                           2 * size / kBytesPerNanosecond);
  const double grain_cost = cost < kNanosecondsWorthSharing ? 0 : kNanosecondsWorthSharing;
  for_ranges(pool, cut.rows * cut.groups, grain_cost, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Range m = part(args.m, i / cut.groups, cut.rows);
      run_bf16_task<A, C>(args, cut.tile_rows, m, part(panels, i % cut.groups, cut.groups));
      if (cut.groups > 1) continue;
      for (const GemmBf16Args* own = &args; own != nullptr; own = own->also)
        normalize_rows(*own, m);
    }
  });
  if (cut.groups > 1) normalize_all(args, pool);
}

void gemm(const GemmBf16Args& args, ThreadPool& pool) {
  if (args.m <= 0) return;
  const bool narrow_a = args.a_type == Dtype::bf16;
  if (args.c_type == Dtype::bf16) {
    return narrow_a ? gemm_of<bf16, bf16>(args, pool) : gemm_of<float, bf16>(args, pool);
  }
  return narrow_a ? gemm_of<bf16, float>(args, pool) : gemm_of<float, float>(args, pool);
}

TERCEL_ISA_END

TERCEL_ISA_TABLE(GemmBf16Kernels, gemm_bf16_kernels, 2 * TERCEL_ISA::kBlockPairs, packed_bytes,
                 pack_b, gemm)
