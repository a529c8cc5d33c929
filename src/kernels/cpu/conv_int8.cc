#include "src/kernels/cpu/conv_int8.h"

#include "src/kernels/cpu/conv_task.h"
#include "src/kernels/cpu/gemm_int8_task.h"
#include "src/kernels/cpu/isa_tables.h"

TERCEL_ISA_BEGIN

// --- Images --------------------------------------------------------------------------------------

constexpr int64_t kImageChunk = 16384;  // elements that one thread looks at, at a time
constexpr int64_t kSquarePixels = 16;   // that are turned at a time, their lines in a near cache
constexpr double kNanosecondsPerValue = 0.2;

// What the workspace holds: images as rows are multiplied, channels last, with their scales and
// zero points; what chunks found; the rows of threads.
struct ImagesLayout {
  int64_t pixels, image, chunks, scales, zeros, found, rows;

  explicit ImagesLayout(const PackedConvArgs& a) {
    pixels = input_positions(a);
    image = pixels * a.in_channels;
    chunks = most<int64_t>(1, ceil_div(image, kImageChunk));
    scales = round_up(a.batch * image * static_cast<int64_t>(sizeof(RowElement)), kLine);
    zeros = scales + round_up(a.batch * 4, kLine);
    found = zeros + round_up(a.batch * 4, kLine);
    rows = found + round_up(a.batch * chunks * 3 * 4, kLine);
  }
};

// Images in the workspace.
struct Images {
  ImagesLayout layout;
  RowElement* values;
  float* scales;
  int32_t* zeros;
  float* found;  // [batch, chunks, 3]: the least, the greatest, NaN or 0

  explicit Images(const Int8ConvArgs& args) : layout(args.conv) {
    auto* base = static_cast<char*>(args.workspace);
    values = reinterpret_cast<RowElement*>(base);
    scales = reinterpret_cast<float*>(base + layout.scales);
    zeros = reinterpret_cast<int32_t*>(base + layout.zeros);
    found = reinterpret_cast<float*>(base + layout.found);
  }
};

// body(image, chunk, its elements of the image) for all chunks of all images.
template <class Body>
void for_chunks(const PackedConvArgs& a, const ImagesLayout& layout, ThreadPool& pool,
                const Body& body) {
  const int64_t values = layout.image / layout.chunks;
  const double cost = kNanosecondsPerValue * static_cast<double>(values);
  for_ranges(pool, a.batch * layout.chunks, cost, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t chunk = i % layout.chunks;
      body(i / layout.chunks, chunk, part(layout.image, chunk, layout.chunks));
    }
  });
}

// The least and the greatest do not depend on the order in which they are found.
inline Steps steps_of(const Images& images, int64_t image, float& poison) {
  float low = 0, high = 0;
  poison = 0;
  const float* found = images.found + image * images.layout.chunks * 3;
  for (int64_t i = 0; i < images.layout.chunks; ++i, found += 3) {
    low = least(low, found[0]);
    high = most(high, found[1]);
    poison += found[2];
  }
  return {low, high};
}

void quantize_images(const PackedConvArgs& a, const Images& images, ThreadPool& pool) {
  for_chunks(a, images.layout, pool, [&](int64_t image, int64_t chunk, Range range) {
    Extremes extremes;
    extremes.look(a.x + image * images.layout.image + range.begin, range.size());
    float* found = images.found + (image * images.layout.chunks + chunk) * 3;
    found[0] = extremes.least_value();
    found[1] = across_max(extremes.high);
    found[2] = across_sum(extremes.poison);
  });
  for_chunks(a, images.layout, pool, [&](int64_t image, int64_t chunk, Range range) {
    float poison = 0;
    const Steps steps = steps_of(images, image, poison);
    const float* from = a.x + image * images.layout.image;
    RowElement* to = images.values + image * images.layout.image;
    for (int64_t i = range.begin; i < range.end; i += kLanes) {
      const int64_t count = range.end - i;
      if (count >= kLanes) {
        store_bytes(to + i, steps.quantized(load(from + i)));
      } else {
        RowElement last[kLanes];
        store_bytes(last, steps.quantized(load_some(from + i, count)));
        copy_bytes(to + i, last, static_cast<std::size_t>(count) * sizeof(RowElement));
      }
    }
    if (chunk > 0) return;
    images.scales[image] = steps.scale() + poison;
    images.zeros[image] = steps.zero();
  });
}

// Signed bytes plus 128.
void turn_images(const Int8ConvArgs& args, const Images& images, ThreadPool& pool) {
  const int64_t channels = args.conv.in_channels, pixels = images.layout.pixels;
  const uint8_t flip = args.x_signed ? 128 : 0;
  const auto* x = static_cast<const uint8_t*>(args.x_bytes);
  const int64_t squares = ceil_div(pixels, kSquarePixels);
  const double cost = static_cast<double>(channels * kSquarePixels);
  for_ranges(pool, args.conv.batch * squares, cost, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t offset = i / squares * images.layout.image;
      const int64_t first = i % squares * kSquarePixels;
      const int64_t last = least(pixels, first + kSquarePixels);
      for (int64_t c = 0; c < channels; ++c) {
        const uint8_t* from = x + offset + c * pixels;
        RowElement* to = images.values + offset + c;
        for (int64_t p = first; p < last; ++p)
          to[p * channels] = static_cast<RowElement>(static_cast<uint8_t>(from[p] ^ flip));
      }
    }
  });
  for (int64_t i = 0; i < args.conv.batch; ++i) {
    images.scales[i] = 1;
    images.zeros[i] = args.x_zero + flip;
  }
}

// --- Windows -------------------------------------------------------------------------------------

// `to` has room for a vector more, and what is behind an image may be read.
inline void copy_elements(const RowElement* from, int64_t count, RowElement* to) {
  constexpr auto kWide = static_cast<int64_t>(sizeof(Int) / sizeof(RowElement));
  int64_t j = 0;
  for (; j + kWide <= count; j += kWide) copy_bytes(to + j, from + j, sizeof(Int));
  for (; j < count; j += kLanes) copy_bytes(to + j, from + j, kLanes * sizeof(RowElement));
}

// Whole windows of the outputs at `sites`, with zeros up to a multiple of kPadK.
void gather_windows(const PackedConvArgs& a, const Images& images, const Site* sites, int rows,
                    int64_t k, bool sums_wanted, int64_t stride, const RowFacts& facts,
                    RowElement* out) {
  for (int r = 0; r < rows; ++r) {
    facts.scales[r] = images.scales[sites[r].image];
    facts.zeros[r] = images.zeros[sites[r].image];
    facts.rests[r] = 0;
  }
  for_runs(a, static_cast<const RowElement*>(images.values), sites, rows, {0, k},
           [&](int r, int64_t at, int64_t count, const RowElement* from) {
             RowElement* to = out + r * stride + at;
             if (from != nullptr) {
               copy_elements(from, count, to);
               return;
             }
             const auto zero = static_cast<RowElement>(facts.zeros[r]);
             for (int64_t j = 0; j < count; ++j) to[j] = zero;
           });
  for (int r = 0; r < rows; ++r)
    for (int64_t j = k; j < round_up(k, kPadK); ++j) out[r * stride + j] = 0;
  for (int r = 0; r < rows && sums_wanted; ++r) {
    uint32_t sum = 0;
    for (int64_t j = 0; j < k; ++j) sum += static_cast<uint32_t>(out[r * stride + j]);
    facts.rests[r] = static_cast<int32_t>(sum - static_cast<uint32_t>(k) *
                                                    static_cast<uint32_t>(facts.zeros[r]));
  }
}

// --- The product ---------------------------------------------------------------------------------

inline void finish_outputs(const PackedConvArgs& a, Range rows, int64_t column, int64_t columns,
                           float* y) {
  if (a.bias == nullptr && a.residual == nullptr && a.activation == Activation::none &&
      a.last == Activation::none)
    return;
  for (int64_t row = rows.begin; row < rows.end; ++row, y += a.out_channels) {
    const int64_t at = row * a.out_channels + column;
    for (int64_t j = 0; j < columns; j += kLanes) {
      const int64_t count = columns - j;
      store_upto(y + j, finished(a, load_upto(y + j, count), column + j, at + j, count), count);
    }
  }
}

// Rows [m) of the outputs, panels [panels).
void conv_part(const Int8ConvArgs& args, const Images& images, const Int8GemmArgs& product, Range m,
               Range panels, const RowsLayout& layout, char* memory) {
  auto* rows = reinterpret_cast<RowElement*>(memory);
  const RowFacts facts = layout.facts_in(memory);
  const bool sums_wanted = has_zero_points(product.packed_b);
  Site sites[kMostRows];
#if defined(TERCEL_ISA_amx)
  begin_tiles();
#endif
  const int64_t blocks = ceil_div(m.size(), layout.rows);
  for (int64_t i = 0; i < blocks; ++i) {
    const Range within = part(m.size(), i, blocks);
    const Block block{rows, layout.stride, facts, {m.begin + within.begin, m.begin + within.end}};
    const auto count = static_cast<int>(within.size());
    find_sites(args.conv, block.rows.begin, count, sites);
    gather_windows(args.conv, images, sites, count, product.k, sums_wanted, layout.stride, facts,
                   rows);
    if (product.sums != nullptr) {
      multiply(product, block, panels, product.sums, [](Range, int64_t, int64_t, int32_t*) {});
    } else {
      multiply(product, block, panels, product.c,
               [&](Range of_tile, int64_t column, int64_t columns, float* y) {
                 finish_outputs(args.conv, of_tile, column, columns, y);
               });
    }
  }
#if defined(TERCEL_ISA_amx)
  end_tiles();
#endif
}

int64_t window_size(const PackedConvArgs& a) { return a.in_channels * taps_of(a); }

std::size_t conv_int8_workspace(const PackedConvArgs& a, int threads) {
  checked_bytes(a.batch, input_positions(a), (a.in_channels + 1) * 4);
  return static_cast<std::size_t>(ImagesLayout(a).rows) +
         rows_bytes(a.batch * positions(a), window_size(a), threads);
}

void conv_int8(const Int8ConvArgs& args, ThreadPool& pool) {
  const PackedConvArgs& a = args.conv;
  const Int8GemmArgs product{.m = a.batch * positions(a),
                             .n = a.out_channels,
                             .k = window_size(a),
                             .packed_b = args.packed,
                             .c = a.y,
                             .sums = args.sums,
                             .c_row = a.out_channels};
  const int64_t panels = ceil_div(product.n, kInt8Panel);
  if (product.m * panels == 0) return;
  const Images images(args);
  if (args.x_bytes != nullptr)
    turn_images(args, images, pool);
  else
    quantize_images(a, images, pool);
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

TERCEL_ISA_TABLE(ConvInt8Kernels, conv_int8_kernels, conv_int8_workspace, conv_int8)
