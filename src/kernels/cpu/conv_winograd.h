#pragma once
// Convolution by 3 x 3 windows as products in a transformed space: Lavin and Gray, 2015. Only for
// sources of tercel_isa_sources.
//
// An output tile of E x E needs P = (E + 2)² products for each pair of channels. Tiles of the input
// are transformed to V[point][tile][channel]; each point is a matrix product with the transformed
// weight U[point][panel][channel][column]; its result, kept by tile, is transformed back.

#include "src/kernels/cpu/conv_task.h"

TERCEL_ISA_BEGIN

// One dimension of the transforms for E outputs, from the points 0, ±a, ±b and infinity.
template <int E>
struct Winograd;

template <>
struct Winograd<2> {
  static constexpr int kSize = 4;
  static void input(const Vec* d, Vec* t) {
    t[0] = d[2] - d[0];
    t[1] = d[2] + d[1];
    t[2] = d[2] - d[1];
    t[3] = d[3] - d[1];
  }
  static void output(const Vec* m, Vec* y) {
    y[0] = m[0] + m[1] + m[2];
    y[1] = m[1] - m[2] + m[3];
  }
  static void weight(const double* g, double* u) {
    u[0] = -g[0];
    u[1] = (g[0] + g[1] + g[2]) / 2;
    u[2] = (g[0] - g[1] + g[2]) / 2;
    u[3] = g[2];
  }
};

template <>
struct Winograd<4> {
  static constexpr int kSize = 6;
  static constexpr double kA = 0.70710678118654752, kB = 1.41421356237309505;
  static constexpr double kA2 = 0.5, kB2 = 2;

  static void input(const Vec* d, Vec* t) {
    const auto scale = [](double factor) { return splat(static_cast<float>(factor)); };
    const Vec even_a = d[4] - scale(kB2) * d[2];
    const Vec odd_a = scale(kA) * (d[3] - scale(kB2) * d[1]);
    const Vec even_b = d[4] - scale(kA2) * d[2];
    const Vec odd_b = scale(kB) * (d[3] - scale(kA2) * d[1]);
    t[0] = d[0] - scale(kA2 + kB2) * d[2] + d[4];
    t[1] = even_a + odd_a;
    t[2] = even_a - odd_a;
    t[3] = even_b + odd_b;
    t[4] = even_b - odd_b;
    t[5] = d[1] - scale(kA2 + kB2) * d[3] + d[5];
  }
  static void output(const Vec* m, Vec* y) {
    const auto scale = [](double factor) { return splat(static_cast<float>(factor)); };
    const Vec sum_a = m[1] + m[2];
    const Vec difference_a = scale(kA) * (m[1] - m[2]);
    const Vec sum_b = m[3] + m[4];
    const Vec difference_b = scale(kB) * (m[3] - m[4]);
    y[0] = m[0] + sum_a + sum_b;
    y[1] = difference_a + difference_b;
    y[2] = scale(kA2) * sum_a + scale(kB2) * sum_b;
    y[3] = scale(kA2) * difference_a + scale(kB2) * difference_b + m[5];
  }
  static void weight(const double* g, double* u) {
    const auto at = [&](double p, double scale) {
      return (g[0] + p * g[1] + p * p * g[2]) / scale;
    };
    const double scale_a = 2 * kA2 * (kA2 - kB2);
    const double scale_b = 2 * kB2 * (kB2 - kA2);
    u[0] = g[0] / (kA2 * kB2);
    u[1] = at(kA, scale_a);
    u[2] = at(-kA, scale_a);
    u[3] = at(kB, scale_b);
    u[4] = at(-kB, scale_b);
    u[5] = g[2];
  }
};

constexpr int64_t kTransformedFloats = int64_t{1} << 19;  // of V, which the cores share
constexpr int64_t kResultFloats = int64_t{1} << 17;       // of a task's products: half of an L2

// How tiles and columns are cut into chunks and tasks.
template <int E>
struct WinogradGrid {
  static constexpr int64_t kPoints = Winograd<E>::kSize * Winograd<E>::kSize;
  int64_t down, across, tiles;  // of an image; of all
  int64_t chunk;                // tiles that are transformed at once
  int64_t panels, groups;       // of columns
  int64_t block;                // most tiles of a task

  WinogradGrid(const PackedConvArgs& a, int64_t threads)
      : down(ceil_div(a.axes[1].out, E)),
        across(ceil_div(a.axes[2].out, E)),
        tiles(a.batch * down * across),
        panels(ceil_div(a.out_channels, kPanel)) {
    const int64_t least_block = kTileRows * kPoints * kPanel;
    const int64_t panels_at_once = most<int64_t>(1, kResultFloats / 2 / least_block);
    const int64_t room = most<int64_t>(1, kTransformedFloats / kPoints / a.in_channels);
    const int64_t unit = kTileRows * 2 * threads;
    chunk = least(tiles, most(room / unit * unit, unit));
    groups = ceil_div(panels, panels_at_once);
    if (threads > 1 && chunk < 8 * kTileRows) groups = least(round_up(groups, threads), panels);
    const int64_t columns = ceil_div(panels, groups) * kPanel;
    const int64_t fitting = kResultFloats / (kPoints * columns) / kTileRows;
    block = most<int64_t>(1, fitting) * kTileRows;
    while (block > kTileRows && ceil_div(chunk, block) * groups % threads != 0) block -= kTileRows;
  }
  int64_t result_floats() const { return block * kPoints * ceil_div(panels, groups) * kPanel; }
  int64_t task_floats() const { return result_floats() + block * kStrideA; }
  int64_t transformed_floats(int64_t channels) const {
    return round_up(chunk * kPoints * channels, 16);
  }
};

// Whether windows are of 3 x 3 pixels side by side, and the channels fill vectors.
inline bool has_winograd_windows(const PackedConvArgs& a) {
  const auto is_three = [](const ConvAxis& axis) {
    return axis.taps == 3 && axis.stride == 1 && axis.dilation == 1;
  };
  return a.groups == 1 && a.axes[0].taps == 1 && is_three(a.axes[1]) && is_three(a.axes[2]) &&
         a.in_channels >= kLanes && a.out_channels >= kLanes;
}

// One tile of the input, all channels, to out[point * stride + channel].
template <int E, class Products>
void transform_input(const PackedConvArgs& a, const WinogradGrid<E>& grid, int64_t tile,
                     typename Products::Factor* out, int64_t stride) {
  constexpr int kSize = Winograd<E>::kSize;
  const ConvAxis& down = a.axes[1];
  const ConvAxis& across = a.axes[2];
  const int64_t y0 = tile / grid.across % grid.down * E - down.pad;
  const int64_t x0 = tile % grid.across * E - across.pad;
  const float* image = a.x + tile / grid.across / grid.down * down.in * across.in * a.in_channels;
  for (int64_t c = 0; c < a.in_channels; c += kLanes) {
    const int64_t count = a.in_channels - c;
    Vec half[kSize][kSize];
#pragma GCC unroll 6
    for (int j = 0; j < kSize; ++j) {
      Vec d[kSize];
      const bool seen = x0 + j >= 0 && x0 + j < across.in;
#pragma GCC unroll 6
      for (int i = 0; i < kSize; ++i) {
        d[i] = seen && y0 + i >= 0 && y0 + i < down.in
                   ? load_upto(image + ((y0 + i) * across.in + x0 + j) * a.in_channels + c, count)
                   : zeros();
      }
      Vec t[kSize];
      Winograd<E>::input(d, t);
#pragma GCC unroll 6
      for (int i = 0; i < kSize; ++i) half[i][j] = t[i];
    }
#pragma GCC unroll 6
    for (int i = 0; i < kSize; ++i) {
      Vec t[kSize];
      Winograd<E>::input(half[i], t);
#pragma GCC unroll 6
      for (int j = 0; j < kSize; ++j)
        Products::put(out + (i * kSize + j) * stride + c, t[j], count);
    }
  }
}

// One tile of the output, channels [first, first + columns), from m[point * stride + column].
template <int E>
void transform_output(const PackedConvArgs& a, const WinogradGrid<E>& grid, int64_t tile,
                      const float* m, int64_t stride, int64_t first, int64_t columns) {
  constexpr int kSize = Winograd<E>::kSize;
  const int64_t y0 = tile / grid.across % grid.down * E;
  const int64_t x0 = tile % grid.across * E;
  const int64_t rows = least<int64_t>(E, a.axes[1].out - y0);
  const int64_t width = least<int64_t>(E, a.axes[2].out - x0);
  const int64_t image = tile / grid.across / grid.down;
  const int64_t corner = (image * a.axes[1].out + y0) * a.axes[2].out + x0;
  for (int64_t c = 0; c < columns; c += kLanes) {
    Vec half[E][kSize];
#pragma GCC unroll 6
    for (int j = 0; j < kSize; ++j) {
      Vec column[kSize];
#pragma GCC unroll 6
      for (int i = 0; i < kSize; ++i) column[i] = load(m + (i * kSize + j) * stride + c);
      Vec y[E];
      Winograd<E>::output(column, y);
#pragma GCC unroll 6
      for (int i = 0; i < E; ++i) half[i][j] = y[i];
    }
    for (int64_t i = 0; i < rows; ++i) {
      Vec y[E];
      Winograd<E>::output(half[i], y);
      for (int64_t j = 0; j < width; ++j) {
        const int64_t at = (corner + i * a.axes[2].out + j) * a.out_channels + first + c;
        store_upto(a.y + at, finished(a, y[j], first + c, at, columns - c), columns - c);
      }
    }
  }
}

// One point's product: `count` rows of V by the panels [p), to c.
struct WinogradProduct {
  int64_t point, count;
  Range p;
  float* c;
  int64_t c_row;
};

// Products in f32. Tiles are few and weights large: each panel passes once, while the one before is
// in use. `rows` has room for one row of A a tile.
template <int E>
struct FloatProducts {
  using Factor = float;
  const PackedConvArgs& a;

  static void put(float* to, Vec value, int64_t count) { store_upto(to, value, count); }
  void multiply(const WinogradGrid<E>& grid, const WinogradProduct& own, const float* v,
                float* rows) const {
    const int64_t panel = a.in_channels * kPanel;
    const float* u = a.w + (own.point * grid.panels + own.p.begin) * panel;
    const GemmArgs product{.m = own.count,
                           .n = own.p.size() * kPanel,
                           .k = a.in_channels,
                           .a = v,
                           .a_row = a.in_channels,
                           .packed_b = u,
                           .c = own.c,
                           .c_row = own.c_row};
    const float* after = own.point + 1 < grid.kPoints ? u + grid.panels * panel : nullptr;
    run_panels(product, {0, product.m}, {0, own.p.size()}, after, rows);
  }
};

// Tiles [tiles), numbered from `base` on, by the panels [p).
template <int E, class Products>
void winograd_task(const Products& products, const WinogradGrid<E>& grid,
                   const typename Products::Factor* v, int64_t base, Range tiles, Range p,
                   float* result, float* rows) {
  constexpr int64_t kPoints = WinogradGrid<E>::kPoints;
  const PackedConvArgs& a = products.a;
  const int64_t width = p.size() * kPanel;
  const int64_t row = kPoints * width;
  for (int64_t point = 0; point < kPoints; ++point) {
    products.multiply(grid, {point, tiles.size(), p, result + point * width, row},
                      v + (point * grid.chunk + tiles.begin) * a.in_channels, rows);
  }
  const int64_t first = p.begin * kPanel;
  const int64_t columns = least(p.end * kPanel, a.out_channels) - first;
  for (int64_t t = 0; t < tiles.size(); ++t)
    transform_output<E>(a, grid, base + tiles.begin + t, result + t * row, width, first, columns);
}

template <int E, class Products>
void conv_winograd(const Products& products, ThreadPool& pool) {
  const PackedConvArgs& a = products.a;
  const WinogradGrid<E> grid(a, pool_size(pool));
  constexpr double kPoints = WinogradGrid<E>::kPoints;
  auto* v = static_cast<typename Products::Factor*>(a.workspace);
  float* tasks = static_cast<float*>(a.workspace) + grid.transformed_floats(a.in_channels);
  for (int64_t base = 0; base < grid.tiles; base += grid.chunk) {
    const int64_t tiles = least(grid.chunk, grid.tiles - base);
    const auto size = static_cast<double>(a.in_channels);
    for_ranges(pool, tiles, kPoints * size / kLanes, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t)
        transform_input<E, Products>(a, grid, base + t, v + t * a.in_channels,
                                     grid.chunk * a.in_channels);
    });
    const int64_t blocks = ceil_div(tiles, grid.block);
    const double cost =
        2 * kPoints * static_cast<double>(tiles * a.out_channels) * size / kFlopsPerNanosecond;
    for_items(pool, grid.groups * blocks, cost, [&](int64_t item, int64_t slot) {
      const Range t = part(tiles, item % blocks, blocks);
      const Range p = part(grid.panels, item / blocks, grid.groups);
      float* result = tasks + slot * grid.task_floats();
      winograd_task<E>(products, grid, v, base, t, p, result, result + grid.result_floats());
    });
  }
}

template <int E>
std::size_t winograd_workspace(const PackedConvArgs& sizes, int threads) {
  const WinogradGrid<E> grid(sizes, threads);
  return checked_bytes(grid.transformed_floats(sizes.in_channels) + threads * grid.task_floats(), 1,
                       sizeof(float));
}

// use(point, transformed weight) for the nine weights of a window.
template <int E, class Use>
void transform_weight(const float* w, const Use& use) {
  constexpr int kSize = Winograd<E>::kSize;
  double half[3][kSize];
  for (int y = 0; y < 3; ++y) {
    const double g[3] = {w[3 * y], w[3 * y + 1], w[3 * y + 2]};
    Winograd<E>::weight(g, half[y]);
  }
  for (int x = 0; x < kSize; ++x) {
    const double g[3] = {half[0][x], half[1][x], half[2][x]};
    double u[kSize];
    Winograd<E>::weight(g, u);
    for (int y = 0; y < kSize; ++y) use(y * kSize + x, static_cast<float>(u[y]));
  }
}

template <int E>
void pack_winograd(const PackedConvArgs& a, const float* w, float* out, ThreadPool& pool) {
  constexpr float kNoWeights[9] = {};
  const int64_t panels = ceil_div(a.out_channels, kPanel);
  const int64_t stride = panels * a.in_channels * kPanel;  // between points
  const double cost = 50.0 * static_cast<double>(a.in_channels) * kPanel;
  for_ranges(pool, panels, cost, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * kPanel; i < end * kPanel; ++i) {
      float* to = out + i / kPanel * a.in_channels * kPanel + i % kPanel;
      for (int64_t c = 0; c < a.in_channels; ++c, to += kPanel) {
        transform_weight<E>(i < a.out_channels ? w + (i * a.in_channels + c) * 9 : kNoWeights,
                            [&](int64_t point, float u) { to[point * stride] = u; });
      }
    }
  });
}

TERCEL_ISA_END
