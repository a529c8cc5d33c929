#pragma once
// A packed convolution as one product: rows are output positions, columns output channels. Only for
// sources of tercel_isa_sources.

#include <array>
#include <utility>

#include "src/kernels/cpu/conv_task.h"

TERCEL_ISA_BEGIN

// Columns k of the window matrix of the outputs at `sites`, to rows of stride kStrideA.
inline void gather(const PackedConvArgs& a, int64_t group, const Site* sites, int rows, Range k,
                   float* out) {
  const float* x = a.x + group * a.in_channels;
  for_runs(a, x, sites, rows, k, [&](int r, int64_t at, int64_t count, const float* from) {
    float* to = out + r * kStrideA + at;
    if (from != nullptr)
      copy_floats(from, count, to);
    else
      clear_floats(count, to);
  });
}

// The same, whole, of a planar image: the taps along the innermost axis lie side by side.
inline void gather_planar(const PackedConvArgs& a, const Site* sites, int rows, float* out) {
  const ConvAxis* axes = a.axes;
  const int64_t taps = axes[2].taps;
  const int64_t area = axes[1].in * axes[2].in;
  for (int r = 0; r < rows; ++r, out += kStrideA) {
    const Site& site = sites[r];
    const int64_t left = site.at[2];
    const bool within = left >= 0 && left + taps <= axes[2].in;
    const float* plane = a.x + site.image * a.in_channels * axes[0].in * area + left;
    float* to = out;
    for (int64_t c = 0; c < a.in_channels; ++c, plane += axes[0].in * area) {
      for (int64_t kz = 0; kz < axes[0].taps; ++kz) {
        const int64_t sz = site.at[0] + kz * axes[0].dilation;
        for (int64_t ky = 0; ky < axes[1].taps; ++ky, to += taps) {
          const int64_t sy = site.at[1] + ky * axes[1].dilation;
          const float* from = plane + sz * area + sy * axes[2].in;
          if (!inside(axes[0], sz) || !inside(axes[1], sy))
            clear_floats(taps, to);
          else if (within)
            copy_floats(from, taps, to);
          else
            for (int64_t t = 0; t < taps; ++t) to[t] = inside(axes[2], left + t) ? from[t] : 0;
        }
      }
    }
  }
}

// How the product is cut: columns into groups whose weights a core's L2 can hold, then rows or,
// where there are few, more columns.
struct ProductGrid {
  int64_t groups = 1, parts = 1;

  ProductGrid(int64_t tiles, int64_t panels, int64_t threads) {
    groups = ceil_div(panels, kGroupPanels);
    if (threads <= 1) return;
    if (tiles >= 16 * threads)
      parts = 4 * threads;
    else if (panels >= 2 * threads)
      groups = round_up(groups, threads);
    else
      parts = least(tiles, 2 * threads);
  }
};

// What the next tile will touch, fetched while this one is computed: rows of y and of the residual,
// and of x where windows are single pixels.
struct ConvAhead {
  int64_t at = -1;           // into y; negative: nothing
  const float* x = nullptr;  // null: nothing
  int64_t x_row = 0;         // elements between its rows
  int64_t lines = 0;         // of 64 bytes, of each row
};

inline void fetch_row(const PackedConvArgs& a, const ConvAhead& ahead, int r) {
  constexpr int kLine = 16;
  const int64_t channels = a.groups * a.out_channels;
  if (ahead.at >= 0) {
    for (int j = 0; j < kPanel; j += kLine) {
      __builtin_prefetch(a.y + ahead.at + r * channels + j, 1);
      if (a.residual != nullptr) __builtin_prefetch(a.residual + ahead.at + r * channels + j);
    }
  }
  for (int64_t j = 0; j < ahead.lines; ++j)
    __builtin_prefetch(ahead.x + r * ahead.x_row + j * kLine);
}

constexpr int64_t kFetchSteps = 24;  // of k, that weights are fetched ahead

// Panel `b` of the outputs that begin `at` elements into y; `column` of all, `columns` of them are
// there. `first` begins the chains, `last` finishes them.
template <int ROWS>
void product_tile(const PackedConvArgs& args, const float* a, const float* b, int64_t kc,
                  int64_t at, int64_t column, int64_t columns, bool first, bool last,
                  const ConvAhead& ahead) {
  const int64_t channels = args.groups * args.out_channels;
  const int64_t right = columns - kLanes;
  float* y = args.y + at;
  Vec sum[ROWS][2];
#pragma GCC unroll 16
  for (int r = 0; r < ROWS; ++r) {
    sum[r][0] = first ? zeros() : load_upto(y + r * channels, columns);
    sum[r][1] = first || right <= 0 ? zeros() : load_upto(y + r * channels + kLanes, right);
  }
  for (int part = 0; part < ROWS; ++part) {
    fetch_row(args, ahead, part);
    const int64_t end = kc * (part + 1) / ROWS;
    for (int64_t k = kc * part / ROWS; k < end; ++k, ++a, b += kPanel) {
      __builtin_prefetch(b + kFetchSteps * kPanel);
      __builtin_prefetch(b + kFetchSteps * kPanel + kLanes);
      const Vec left = load(b);
      const Vec right_half = load(b + kLanes);
#pragma GCC unroll 16
      for (int r = 0; r < ROWS; ++r) {
        const Vec value = splat(a[r * kStrideA]);
        sum[r][0] = fma(value, left, sum[r][0]);
        sum[r][1] = fma(value, right_half, sum[r][1]);
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < ROWS; ++r) {
    const int64_t row = at + r * channels;
    Vec value = sum[r][0];
    if (last) value = finished(args, value, column, row, columns);
    store_upto(y + r * channels, value, columns);
    if (right <= 0) continue;
    value = sum[r][1];
    if (last) value = finished(args, value, column + kLanes, row + kLanes, right);
    store_upto(y + r * channels + kLanes, value, right);
  }
}

using ProductTile = void (*)(const PackedConvArgs&, const float*, const float*, int64_t, int64_t,
                             int64_t, int64_t, bool, bool, const ConvAhead&);
template <int... R>
constexpr std::array<ProductTile, sizeof...(R)> make_product_tiles(
    std::integer_sequence<int, R...>) {
  return {&product_tile<R + 1>...};
}
constexpr auto kProductTiles = make_product_tiles(std::make_integer_sequence<int, kTileRows>());

// Tiles [tiles) of `all`, panels [p) of one group.
inline void product_task(const PackedConvArgs& a, int64_t group, Range tiles, int64_t all,
                         Range panels) {
  const int64_t k_all = a.in_channels * taps_of(a);
  const int64_t rows_all = a.batch * positions(a);
  const int64_t channels = a.groups * a.out_channels;
  const float* w = a.w + group * ceil_div(a.out_channels, kPanel) * k_all * kPanel;
  const int64_t blocks = most<int64_t>(1, ceil_div(k_all, kBlockK));
  const bool pixels = is_pixel(a.axes[0]) && is_pixel(a.axes[1]) && is_pixel(a.axes[2]);
  ABlock block;
  Site sites[kTileRows];
  for (int64_t i = 0; i < blocks; ++i) {
    const Range k = part(k_all, i, blocks);
    for (int64_t t = tiles.begin; t < tiles.end; ++t) {
      const Range tile = part(rows_all, t, all);
      const int rows = static_cast<int>(tile.size());
      find_sites(a, tile.begin, rows, sites);
      if (a.planar)
        gather_planar(a, sites, rows, block.values);
      else
        gather(a, group, sites, rows, k, block.values);
      const bool more = t + 1 < tiles.end;
      const int64_t lines = ceil_div(k.size(), 16 * panels.size());
      for (int64_t p = panels.begin; p < panels.end; ++p) {
        const int64_t column = group * a.out_channels + p * kPanel;
        ConvAhead ahead;
        if (p + 1 < panels.end)
          ahead.at = tile.begin * channels + column + kPanel;
        else if (more)
          ahead.at = tile.end * channels + group * a.out_channels + panels.begin * kPanel;
        if (more && pixels && !a.planar) {
          ahead.lines = lines;
          ahead.x_row = a.groups * a.in_channels;
          ahead.x = a.x + tile.end * ahead.x_row + group * a.in_channels + k.begin +
                    (p - panels.begin) * lines * 16;
        }
        kProductTiles[static_cast<std::size_t>(rows - 1)](
            a, block.values, w + (p * k_all + k.begin) * kPanel, k.size(),
            tile.begin * channels + column, column,
            least<int64_t>(kPanel, a.out_channels - p * kPanel), i == 0, i == blocks - 1, ahead);
      }
    }
  }
}

inline double product_cost(const PackedConvArgs& a) {
  return 2.0 * static_cast<double>(a.batch * positions(a)) *
         static_cast<double>(a.in_channels * taps_of(a)) *
         static_cast<double>(a.groups * a.out_channels) / kFlopsPerNanosecond;
}

inline void conv_product(const PackedConvArgs& a, ThreadPool& pool) {
  const int64_t tiles = ceil_div(a.batch * positions(a), kTileRows);
  const int64_t panels = ceil_div(a.out_channels, kPanel);
  const ProductGrid grid(tiles, panels, pool_size(pool));
  for_items(pool, a.groups * grid.groups * grid.parts, product_cost(a), [&](int64_t item, int64_t) {
    const Range rows = part(tiles, item % grid.parts, grid.parts);
    const Range p = part(panels, item / grid.parts % grid.groups, grid.groups);
    product_task(a, item / grid.parts / grid.groups, rows, tiles, p);
  });
}

inline void pack_product(const PackedConvArgs& a, const float* w, float* out, ThreadPool& pool) {
  const int64_t taps = taps_of(a);
  const int64_t k = a.in_channels * taps;
  const int64_t panels = ceil_div(a.out_channels, kPanel);
  const double cost = static_cast<double>(k) * kPanel;
  for_ranges(pool, a.groups * panels, cost, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t column = i % panels * kPanel;
      const int64_t columns = least<int64_t>(kPanel, a.out_channels - column);
      const float* from = w + (i / panels * a.out_channels + column) * k;
      float* to = out + i * k * kPanel;
      if (a.planar) {
        pack_panel(from, 1, k, k, columns, to);
        continue;
      }
      for (int64_t t = 0; t < taps; ++t)
        pack_panel(from + t, taps, k, a.in_channels, columns, to + t * a.in_channels * kPanel);
    }
  });
}

TERCEL_ISA_END
