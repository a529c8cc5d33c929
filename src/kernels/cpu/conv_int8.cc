#include "src/kernels/cpu/conv_int8.h"

#include "src/kernels/cpu/conv_int8_depthwise.h"
#include "src/kernels/cpu/conv_int8_images.h"
#include "src/kernels/cpu/conv_int8_winograd.h"
#include "src/kernels/cpu/gemm_int8_pack.h"
#include "src/kernels/cpu/isa_tables.h"

TERCEL_ISA_BEGIN

// --- Windows -------------------------------------------------------------------------------------

// The last piece of several begins before the end of the one before it.
inline void copy_run(const uint8_t* from, int64_t count, uint8_t flip, RowElement* to) {
  if (count < kPiece) {
    for (int64_t j = 0; j < count; ++j)
      to[j] = static_cast<RowElement>(static_cast<uint8_t>(from[j] ^ flip));
    return;
  }
  const Piece flips = Piece{} ^ flip;
  for (int64_t j = 0; j + kPiece < count; j += kPiece)
    store_piece(to + j, load_piece(from + j, flips));
  store_piece(to + count - kPiece, load_piece(from + count - kPiece, flips));
}

inline void fill_run(int64_t count, int32_t zero, RowElement* to) {
  for (int64_t j = 0; j < count; ++j) to[j] = static_cast<RowElement>(zero);
}

// The window of an output, tap by tap; neighbouring taps of a line in one run.
inline void gather_window(const PackedConvArgs& a, const Images& images, const Site& site,
                          int32_t zero, RowElement* to) {
  const ConvAxis* axes = a.axes;
  const ConvAxis& line = axes[2];
  const int64_t channels = a.in_channels;
  const int64_t step = line.dilation == 1 ? line.taps : 1;  // taps of a run
  for (int64_t tz = 0; tz < axes[0].taps; ++tz) {
    for (int64_t ty = 0; ty < axes[1].taps; ++ty) {
      const int64_t z = site.at[0] + tz * axes[0].dilation;
      const int64_t y = site.at[1] + ty * axes[1].dilation;
      if (!inside(axes[0], z) || !inside(axes[1], y)) {
        fill_run(line.taps * channels, zero, to);
        to += line.taps * channels;
        continue;
      }
      const int64_t pixel = ((site.image * axes[0].in + z) * axes[1].in + y) * line.in;
      for (int64_t tx = 0; tx < line.taps; tx += step) {
        const int64_t x = site.at[2] + tx * line.dilation;
        const int64_t before = least(step, most<int64_t>(0, -x));
        const int64_t end = most(before, least(step, line.in - x));
        fill_run(before * channels, zero, to);
        copy_run(images.bytes + (pixel + x + before) * channels, (end - before) * channels,
                 images.flip, to + before * channels);
        fill_run((step - end) * channels, zero, to + end * channels);
        to += step * channels;
      }
    }
  }
}

// Whole windows of the outputs at `sites`, the first of which is `first`, with zeros up to a
// multiple of kPadK.
void gather_windows(const PackedConvArgs& a, const Images& images, int64_t first, const Site* sites,
                    int rows, int64_t k, bool sums_wanted, int64_t stride, const RowFacts& facts,
                    RowElement* out) {
  const bool pixels = is_pixel(a.axes[0]) && is_pixel(a.axes[1]) && is_pixel(a.axes[2]);
  for (int r = 0; r < rows; ++r) {
    RowElement* row = out + r * stride;
    const int32_t zero = images.zeros != nullptr ? images.zeros[sites[r].image] : images.zero;
    if (pixels)
      copy_run(images.bytes + (first + r) * k, k, images.flip, row);
    else
      gather_window(a, images, sites[r], zero, row);
    fill_run(round_up(k, kPadK) - k, 0, row + k);
    facts.scales[r] = images.scales != nullptr ? images.scales[sites[r].image] : 1;
    facts.zeros[r] = zero;
    facts.rests[r] = 0;
    if (!sums_wanted) continue;
    uint32_t sum = 0;
    for (int64_t j = 0; j < k; ++j) sum += static_cast<uint32_t>(row[j]);
    facts.rests[r] =
        static_cast<int32_t>(sum - static_cast<uint32_t>(k) * static_cast<uint32_t>(zero));
  }
}

// --- The product ---------------------------------------------------------------------------------

// Rows of the outputs as the caller wants them.
void multiply_rows(const Int8ConvArgs& args, const Int8GemmArgs& product, const Block& block,
                   Range panels) {
  if (args.bytes.y != nullptr) {
    alignas(64) int32_t sums[kMostTileRows * kMostPanels * kInt8Panel];
    const Target<int32_t> target{sums, kMostPanels * kInt8Panel, true};
    multiply(product, block, panels, target,
             [&](Range rows, int64_t column, int64_t columns, const int32_t* at) {
               finish_bytes(args.bytes, product.n, rows, column, columns, at, target.c_row);
             });
  } else if (args.sums != nullptr) {
    multiply(product, block, panels, Target<int32_t>{args.sums, product.c_row},
             [](Range, int64_t, int64_t, int32_t*) {});
  } else {
    multiply(product, block, panels, Target<float>{args.conv.y, product.c_row},
             [&](Range rows, int64_t column, int64_t columns, float* y) {
               finish_outputs(args.conv, rows, column, columns, y);
             });
  }
}

// Rows [m) of the outputs, panels [panels).
void conv_part(const Int8ConvArgs& args, const Images& images, const Int8GemmArgs& product, Range m,
               Range panels, const RowsLayout& layout, char* memory) {
  auto* rows = reinterpret_cast<RowElement*>(memory);
  const RowFacts facts = layout.facts_in(memory);
  const bool sums_wanted = facts_of(product.packed_b).any_zero != 0;
  Site sites[kMostRows];
  Tiles tiles;
  tiles.set_rows(kMostTileRows);
  const int64_t blocks = ceil_div(m.size(), layout.rows);
  for (int64_t i = 0; i < blocks; ++i) {
    const Range within = part(m.size(), i, blocks);
    const Block block{rows, layout.stride, facts, {m.begin + within.begin, m.begin + within.end}};
    const auto count = static_cast<int>(within.size());
    find_sites(args.conv, block.rows.begin, count, sites);
    gather_windows(args.conv, images, block.rows.begin, sites, count, product.k, sums_wanted,
                   layout.stride, facts, rows);
    multiply_rows(args, product, block, panels);
  }
}

int64_t window_size(const PackedConvArgs& a) { return a.in_channels * taps_of(a); }

std::size_t conv_int8_packed_bytes(const PackedConvArgs& a) {
  if (is_int8_depthwise(a)) return depthwise_packed_bytes(a);
  if (is_winograd(a)) return winograd_packed_bytes(a);
  return packed_matrix_bytes(window_size(a), a.out_channels, true);
}

void conv_int8_pack(const PackedConvArgs& a, const PackInt8Args& weight, ThreadPool& pool) {
  if (is_int8_depthwise(a)) return depthwise_pack(a, weight);
  if (is_winograd(a)) return winograd_pack(a, weight, pool);
  pack_matrix(weight, true, pool);
}

std::size_t conv_int8_workspace(const PackedConvArgs& a, bool of_bytes, int threads) {
  if (is_int8_depthwise(a)) return depthwise_workspace(a, threads);
  checked_bytes(a.batch, input_positions(a), (a.in_channels + 1) * 4);
  return static_cast<std::size_t>(ImagesLayout(a, of_bytes).rows) +
         (is_winograd(a) ? winograd_workspace(a, threads)
                         : rows_bytes(a.batch * positions(a), window_size(a), threads));
}

void conv_int8(const Int8ConvArgs& args, ThreadPool& pool) {
  const PackedConvArgs& a = args.conv;
  const Int8GemmArgs product{.m = a.batch * positions(a),
                             .n = a.out_channels,
                             .k = window_size(a),
                             .packed_b = args.packed,
                             .c_row = a.out_channels};
  const int64_t panels = ceil_div(product.n, kInt8Panel);
  if (product.m * panels == 0) return;
  if (is_int8_depthwise(a)) return depthwise_conv(args, pool);
  const Images images(args);
  if (args.x_bytes == nullptr) quantize_images(a, images, pool);
  if (is_winograd(a)) return winograd_conv(args, images, pool);
  const RowsLayout layout(product.m, product.k);
  const Int8Cut cut(product.m, panels, pool_size(pool), layout);
  char* memory = static_cast<char*>(args.workspace) + images.layout.rows;
  for_items(pool, cut.tasks(), int8_cost(product.m, panels, product.k),
            [&](int64_t item, int64_t slot) {
              conv_part(args, images, product, part(product.m, item / cut.columns, cut.rows),
                        part(panels, item % cut.columns, cut.columns), layout,
                        memory + slot * layout.bytes);
            });
}

TERCEL_ISA_END

TERCEL_ISA_TABLE(ConvInt8Kernels, conv_int8_kernels, conv_int8_packed_bytes, conv_int8_pack,
                 conv_int8_workspace, conv_int8, transpose_bytes)
