#pragma once
// Winograd's F(2x2, 3x3) in integers, as conv_int8.h has it. Only for sources of
// tercel_isa_sources.

#include "src/kernels/cpu/conv_int8_images.h"
#include "src/kernels/cpu/gemm_int8_pack.h"

TERCEL_ISA_BEGIN

constexpr int64_t kPoints = 16;  // 4 x 4 of a tile, whose outputs are 2 x 2
// Four times a sum of 9 · 900 products of 8 bits is less than 2^31.
constexpr int64_t kMostWinogradChannels = 900;
constexpr int64_t kTilesBytes = 256 << 10;  // of transformed inputs, in L2
constexpr int64_t kMostTiles = 48;          // of a block

inline bool is_winograd(const PackedConvArgs& a) {
  const auto fits = [](const ConvAxis& axis, int64_t taps) {
    return axis.taps == taps && axis.stride == 1 && (taps == 1 || axis.dilation == 1);
  };
  return kStep == 2 && fits(a.axes[0], 1) && a.axes[0].pad == 0 && fits(a.axes[1], 3) &&
         fits(a.axes[2], 3) && a.in_channels >= kPiece && a.in_channels <= kMostWinogradChannels;
}

// The matrices of the points one after the other, then the columns' scales.
struct WinogradLayout {
  PackedLayout point;  // only its panels
  int64_t point_bytes, scales;

  explicit WinogradLayout(const PackedConvArgs& a) : point(a.in_channels, a.out_channels, true) {
    point_bytes = round_up(point.panels * point.panel_bytes, kLine);
    scales = kPoints * point_bytes;
  }
};

inline std::size_t winograd_packed_bytes(const PackedConvArgs& a) {
  checked_bytes(a.in_channels + kLine, a.out_channels + 2 * kInt8Panel, kPoints * 4);
  const WinogradLayout layout(a);
  return static_cast<std::size_t>(layout.scales + layout.point.panels * kInt8Panel * 4);
}

// 2 G g of three numbers.
struct FourPoints {
  int32_t at[4];

  FourPoints(int32_t a, int32_t b, int32_t c) : at{2 * a, a + b + c, a - b + c, 2 * c} {}
};

// The 16 transformed weights of channel c, output channel n, where a step of k has them.
inline void pack_weight(const PackInt8Args& weight, int64_t channels, int64_t c, int64_t n,
                        const WinogradLayout& layout) {
  const auto at = [&](int64_t tap) { return weight_at(weight, tap * channels + c, n); };
  const FourPoints lines[3] = {{at(0), at(1), at(2)}, {at(3), at(4), at(5)}, {at(6), at(7), at(8)}};
  char* panel = static_cast<char*>(weight.out) + n / kInt8Panel * layout.point.panel_bytes;
  const int64_t element = c / kStep * kStepElements + n % kInt8Panel * kStep + c % kStep;
  for (int64_t x = 0; x < 4; ++x) {
    const FourPoints column(lines[0].at[x], lines[1].at[x], lines[2].at[x]);
    for (int64_t y = 0; y < 4; ++y) {
      const auto value = static_cast<int16_t>(column.at[y]);
      copy_bytes(panel + (y * 4 + x) * layout.point_bytes + element * 2, &value, sizeof(value));
    }
  }
}

inline void winograd_pack(const PackedConvArgs& a, const PackInt8Args& weight, ThreadPool& pool) {
  const WinogradLayout layout(a);
  auto* base = static_cast<char*>(weight.out);
  __builtin_memset(base, 0, static_cast<std::size_t>(layout.scales));
  auto* scales = reinterpret_cast<float*>(base + layout.scales);
  for (int64_t n = 0; n < layout.point.panels * kInt8Panel; ++n)
    scales[n] = n < a.out_channels && weight.scale != nullptr ? weight.scale[n] : 1;
  for_ranges(pool, layout.point.panels, static_cast<double>(kPoints * layout.point.panel_bytes),
             [&](int64_t begin, int64_t end) {
               const int64_t last = least(end * kInt8Panel, a.out_channels);
               for (int64_t c = 0; c < a.in_channels; ++c)
                 for (int64_t n = begin * kInt8Panel; n < last; ++n)
                   pack_weight(weight, a.in_channels, c, n, layout);
             });
}

// --- A thread's memory ---------------------------------------------------------------------------

struct TilesLayout {
  int64_t stride, tiles, point_elements, sums, outputs, padding, bytes;

  explicit TilesLayout(const PackedConvArgs& a) {
    const RowsLayout rows(1, a.in_channels);
    stride = rows.stride;
    const auto element = static_cast<int64_t>(sizeof(RowElement));
    const int64_t fitting = kTilesBytes / (kPoints * stride * element) / kInt8Rows * kInt8Rows;
    tiles = least(kMostTiles, most<int64_t>(kInt8Rows, fitting));
    point_elements = tiles * stride;
    sums = kPoints * point_elements * element;
    outputs = sums + kPoints * tiles * kInt8Panel * 4;
    padding = outputs + 4 * tiles * kInt8Panel * 4;
    bytes = round_up(padding + a.in_channels, kLine);
  }
};

inline std::size_t winograd_workspace(const PackedConvArgs& a, int threads) {
  return checked_bytes(TilesLayout(a).bytes, threads, 1);
}

// Where a tile is: `image` counts those of the outermost axis too.
struct TilePlace {
  int64_t image, y, x;
};

struct TileGrid {
  int64_t lines, columns;

  explicit TileGrid(const PackedConvArgs& a)
      : lines(ceil_div(a.axes[1].out, 2)), columns(ceil_div(a.axes[2].out, 2)) {}
  TilePlace place(int64_t tile) const {
    return {tile / columns / lines, tile / columns % lines, tile % columns};
  }
};

// --- Transforms ----------------------------------------------------------------------------------

// One dimension of Bt d B.
template <class T>
inline void to_points(T& a, T& b, T& c, T& d) {
  const T first = a - c, second = b + c, third = c - b, fourth = b - d;
  a = first;
  b = second;
  c = third;
  d = fourth;
}

// 16 pixels from `from`, kPiece channels, less the zero point.
inline void transform_piece(const uint8_t* const (&from)[kPoints], int64_t channel, Piece flip,
                            RowPiece zero, RowElement* to, int64_t point_elements) {
  RowPiece d[kPoints];
#pragma GCC unroll 16
  for (int i = 0; i < kPoints; ++i) d[i] = load_piece(from[i] + channel, flip) - zero;
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) to_points(d[4 * i], d[4 * i + 1], d[4 * i + 2], d[4 * i + 3]);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) to_points(d[i], d[4 + i], d[8 + i], d[12 + i]);
#pragma GCC unroll 16
  for (int i = 0; i < kPoints; ++i) store_piece(to + i * point_elements + channel, d[i]);
}

// The tile's row in the matrix of each point. `padding` stands for pixels outside.
inline void transform_tile(const PackedConvArgs& a, const Images& images, const TilePlace& place,
                           const uint8_t* padding, int32_t zero, const TilesLayout& layout,
                           RowElement* to) {
  const uint8_t* from[kPoints];
  for (int64_t i = 0; i < kPoints; ++i) {
    const int64_t y = 2 * place.y - a.axes[1].pad + i / 4;
    const int64_t x = 2 * place.x - a.axes[2].pad + i % 4;
    const bool seen = inside(a.axes[1], y) && inside(a.axes[2], x);
    const int64_t pixel = (place.image * a.axes[1].in + y) * a.axes[2].in + x;
    from[i] = seen ? images.bytes + pixel * a.in_channels : padding;
  }
  const Piece flip = Piece{} ^ images.flip;
  const RowPiece zeros = RowPiece{} + static_cast<RowElement>(zero);
  for (int64_t c = 0; c + kPiece < a.in_channels; c += kPiece)
    transform_piece(from, c, flip, zeros, to, layout.point_elements);
  transform_piece(from, a.in_channels - kPiece, flip, zeros, to, layout.point_elements);
  if (a.in_channels % kStep != 0) {
    for (int64_t i = 0; i < kPoints; ++i) to[i * layout.point_elements + a.in_channels] = 0;
  }
}

// At M A, a quarter of it, for one tile and one panel: its 2 x 2 outputs, lines `line` apart.
inline void transform_sums(const int32_t* sums, int64_t point, int32_t* to, int64_t line) {
  for (int64_t j = 0; j < kInt8Panel; j += kLanes) {
    Uint half[2][4];
#pragma GCC unroll 4
    for (int x = 0; x < 4; ++x) {
      Uint m[4];
#pragma GCC unroll 4
      for (int y = 0; y < 4; ++y) copy_bytes(&m[y], sums + (y * 4 + x) * point + j, sizeof(m[y]));
      half[0][x] = m[0] + m[1] + m[2];
      half[1][x] = m[1] - m[2] - m[3];
    }
#pragma GCC unroll 2
    for (int y = 0; y < 2; ++y) {
      const Int left = (Int)(half[y][0] + half[y][1] + half[y][2]) >> 2;
      const Int right = (Int)(half[y][1] - half[y][2] - half[y][3]) >> 2;
      copy_bytes(to + y * line + j, &left, sizeof(left));
      copy_bytes(to + y * line + kInt8Panel + j, &right, sizeof(right));
    }
  }
}

// --- The convolution -----------------------------------------------------------------------------

struct WinogradTask {
  const Int8ConvArgs& args;
  const Images& images;
  TileGrid grid;
  TilesLayout layout;
  WinogradLayout weight;
  char* memory;

  int64_t depth() const { return args.conv.axes[0].out; }
  int32_t zero_of(int64_t image) const {
    return images.zeros != nullptr ? images.zeros[image / depth()] : images.zero;
  }
  RowElement* inputs() const { return reinterpret_cast<RowElement*>(memory); }

  void transform_inputs(Range tiles) const {
    auto* padding = reinterpret_cast<uint8_t*>(memory + layout.padding);
    for (int64_t t = tiles.begin; t < tiles.end; ++t) {
      const TilePlace place = grid.place(t);
      const int32_t zero = zero_of(place.image);
      __builtin_memset(padding, static_cast<uint8_t>(zero) ^ images.flip,
                       static_cast<std::size_t>(args.conv.in_channels));
      transform_tile(args.conv, images, place, padding, zero, layout,
                     inputs() + (t - tiles.begin) * layout.stride);
    }
  }

  // All points of some tiles by one panel.
  void multiply_panel(int64_t tiles, int64_t panel) const {
    auto* sums = reinterpret_cast<int32_t*>(memory + layout.sums);
    const char* b = static_cast<const char*>(args.packed) + panel * weight.point.panel_bytes;
    const int64_t parts = ceil_div(tiles, kInt8Rows);
    for (int64_t p = 0; p < kPoints; ++p) {
      for (int64_t i = 0; i < parts; ++i) {
        const Range rows = part(tiles, i, parts);
        const char* points = b + p * weight.point_bytes;
        const TileArgs tile{inputs() + p * layout.point_elements + rows.begin * layout.stride,
                            layout.stride,
                            points,
                            weight.point.steps,
                            points + weight.point_bytes,
                            i == 0 ? weight.point.step_bytes : 0,
                            {},
                            {}};
        kInt8Tiles<int16_t, int32_t>.by_rows[rows.size() - 1](
            tile, sums + (p * layout.tiles + rows.begin) * kInt8Panel, kInt8Panel);
      }
    }
  }

  // Tiles of one line of one image.
  void finish_line(Range tiles, int64_t first, int64_t panel) const {
    const PackedConvArgs& a = args.conv;
    const auto* sums = reinterpret_cast<const int32_t*>(memory + layout.sums);
    auto* outputs = reinterpret_cast<int32_t*>(memory + layout.outputs);
    const int64_t line = 2 * tiles.size() * kInt8Panel;
    for (int64_t t = 0; t < tiles.size(); ++t) {
      transform_sums(sums + (tiles.begin - first + t) * kInt8Panel, layout.tiles * kInt8Panel,
                     outputs + 2 * t * kInt8Panel, line);
    }
    const TilePlace place = grid.place(tiles.begin);
    const int64_t x = 2 * place.x;
    const int64_t count = least(2 * tiles.size(), a.axes[2].out - x);
    const int64_t column = panel * kInt8Panel;
    const float scale = images.scales != nullptr ? images.scales[place.image / depth()] : 1;
    const auto* scales =
        reinterpret_cast<const float*>(static_cast<const char*>(args.packed) + weight.scales);
    for (int64_t y = 0; y < least<int64_t>(2, a.axes[1].out - 2 * place.y); ++y) {
      const int64_t row = (place.image * a.axes[1].out + 2 * place.y + y) * a.axes[2].out + x;
      finish_sums(args, {row, row + count}, column,
                  least<int64_t>(kInt8Panel, a.out_channels - column), outputs + y * line,
                  kInt8Panel, scale, scales);
    }
  }

  void run(Range tiles, Range panels) const {
    for (int64_t first = tiles.begin; first < tiles.end; first += layout.tiles) {
      const Range block{first, least(tiles.end, first + layout.tiles)};
      transform_inputs(block);
      for (int64_t panel = panels.begin; panel < panels.end; ++panel) {
        multiply_panel(block.size(), panel);
        for (int64_t t = block.begin; t < block.end;) {
          const int64_t end = least(block.end, (t / grid.columns + 1) * grid.columns);
          finish_line({t, end}, first, panel);
          t = end;
        }
      }
    }
  }
};

// By tiles, so that each is transformed once; by panels where there are too few.
inline void winograd_conv(const Int8ConvArgs& args, const Images& images, ThreadPool& pool) {
  const PackedConvArgs& a = args.conv;
  const TileGrid grid(a);
  const TilesLayout layout(a);
  const WinogradLayout weight(a);
  const int64_t tiles = a.batch * a.axes[0].out * grid.lines * grid.columns;
  const int64_t panels = weight.point.panels, threads = pool_size(pool);
  const int64_t blocks = ceil_div(tiles, layout.tiles);
  const int64_t rows = blocks >= threads ? round_up(blocks, threads) : 1;
  const int64_t columns = blocks >= threads ? 1 : least(panels, threads);
  char* memory = static_cast<char*>(args.workspace) + images.layout.rows;
  for_items(pool, rows * columns, int8_cost(tiles * kPoints, panels, a.in_channels),
            [&](int64_t item, int64_t slot) {
              const WinogradTask task{args,   images, grid,
                                      layout, weight, memory + slot * layout.bytes};
              task.run(part(tiles, item / columns, rows), part(panels, item % columns, columns));
            });
}

TERCEL_ISA_END
