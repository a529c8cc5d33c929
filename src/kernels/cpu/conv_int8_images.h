#pragma once
// Images of bytes, and what becomes of sums, in convolutions of 8-bit integers. Only for sources of
// tercel_isa_sources.

#include "src/kernels/cpu/bytes.h"
#include "src/kernels/cpu/conv_int8.h"
#include "src/kernels/cpu/conv_task.h"
#include "src/kernels/cpu/gemm_int8_task.h"

TERCEL_ISA_BEGIN

// --- Images --------------------------------------------------------------------------------------

constexpr int64_t kImageChunk = 16384;  // elements that one thread looks at, at a time
constexpr int64_t kSquareColumns = 16;  // that are turned at a time, their lines in a near cache
constexpr double kNanosecondsPerValue = 0.2;

// What the workspace holds: images of f32 as bytes, with their scales and zero points; what chunks
// found; the rows of threads.
struct ImagesLayout {
  int64_t image, chunks, scales, zeros, found, rows;

  ImagesLayout(const PackedConvArgs& a, bool of_bytes) {
    image = input_positions(a) * a.in_channels;
    chunks = most<int64_t>(1, ceil_div(image, kImageChunk));
    const int64_t batch = of_bytes ? 0 : a.batch;
    scales = round_up(batch * image, kLine);
    zeros = scales + round_up(batch * 4, kLine);
    found = zeros + round_up(batch * 4, kLine);
    rows = found + round_up(batch * chunks * 3 * 4, kLine);
  }
};

// Images as bytes, given so or in the workspace.
struct Images {
  ImagesLayout layout;
  const uint8_t* bytes;
  uint8_t flip = 0;  // signed bytes plus 128 are what rows hold
  int32_t zero = 0;  // of given ones, plus 128 likewise
  uint8_t* quantized;
  float* scales = nullptr;   // null: 1
  int32_t* zeros = nullptr;  // null: `zero`
  float* found = nullptr;    // [batch, chunks, 3]: the least, the greatest, NaN or 0

  explicit Images(const Int8ConvArgs& args)
      : layout(args.conv, args.x_bytes != nullptr),
        bytes(static_cast<const uint8_t*>(args.x_bytes)),
        quantized(static_cast<uint8_t*>(args.workspace)) {
    if (bytes != nullptr) {
      flip = args.x_type.is_signed ? 128 : 0;
      zero = args.x_type.zero + flip;
      return;
    }
    bytes = quantized;
    auto* base = static_cast<char*>(args.workspace);
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
    uint8_t* to = images.quantized + image * images.layout.image;
    for (int64_t i = range.begin; i < range.end; i += kLanes) {
      const int64_t count = range.end - i;
      store_low_bytes(to + i, steps.quantized(load_upto(from + i, count)), count);
    }
    if (chunk > 0) return;
    images.scales[image] = steps.scale() + poison;
    images.zeros[image] = steps.zero();
  });
}

void transpose_bytes(const void* from, int64_t batch, int64_t rows, int64_t columns, void* to,
                     ThreadPool& pool) {
  const int64_t strips = ceil_div(columns, kSquareColumns);
  const double cost = static_cast<double>(rows * kSquareColumns);
  for_ranges(pool, batch * strips, cost, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto* x = static_cast<const uint8_t*>(from) + i / strips * rows * columns;
      auto* y = static_cast<uint8_t*>(to) + i / strips * rows * columns;
      const int64_t first = i % strips * kSquareColumns;
      const int64_t last = least(columns, first + kSquareColumns);
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t c = first; c < last; ++c) y[c * rows + r] = x[r * columns + c];
      }
    }
  });
}

// --- Pieces of images ----------------------------------------------------------------------------

constexpr int64_t kPiece = kLanes < 8 ? 8 : 16;  // bytes that are widened at once
typedef uint8_t Piece __attribute__((vector_size(kPiece)));
typedef RowElement RowPiece __attribute__((vector_size(kPiece * sizeof(RowElement))));

inline RowPiece load_piece(const uint8_t* from, Piece flip) {
  Piece bytes;
  copy_bytes(&bytes, from, sizeof(bytes));
  return __builtin_convertvector(bytes ^ flip, RowPiece);
}
inline void store_piece(RowElement* to, RowPiece piece) { copy_bytes(to, &piece, sizeof(piece)); }

// --- Outputs -------------------------------------------------------------------------------------

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

// The bytes of sums, a row of which has room for whole panels.
inline void finish_bytes(const Int8ConvBytes& out, int64_t channels, Range rows, int64_t column,
                         int64_t columns, const int32_t* sums, int64_t sums_row) {
  const ByteRange own(out.type, out.relu);
  const ByteRange sum(out.sum_type, out.sum_relu);
  const bool adds = out.residual.bytes != nullptr;
  const auto* residual = static_cast<const uint8_t*>(out.residual.bytes);
  auto* y = static_cast<uint8_t*>(out.y);
  for (int64_t j = 0; j < columns; j += kLanes) {
    const int64_t count = columns - j;
    const Vec scale = load_upto(out.scales + column + j, count);
    Int bias = {};
    if (out.bias != nullptr)
      copy_bytes(&bias, out.bias + column + j,
                 static_cast<std::size_t>(least<int64_t>(count, kLanes)) * 4);
    for (int64_t r = 0; r < rows.size(); ++r) {
      const int64_t at = (rows.begin + r) * channels + column + j;
      Int value;
      copy_bytes(&value, sums + r * sums_row + j, sizeof(value));
      const Vec number = __builtin_convertvector((Int)((Uint)value + (Uint)bias), Vec) * scale;
      if (!adds) {
        store_low_bytes(y + at, own.bytes(number), count);
        continue;
      }
      const Vec other = load_steps(residual + at, out.residual.type, count);
      store_low_bytes(
          y + at,
          sum.bytes(own.rounded(number) * splat(out.own_scale) + other * splat(out.residual.scale)),
          count);
    }
  }
}

// Rows of sums without zero points, of `columns` from `column` on, as the caller wants them; those
// of images in f32 stand for `scale` · the columns' scales.
inline void finish_sums(const Int8ConvArgs& args, Range rows, int64_t column, int64_t columns,
                        const int32_t* sums, int64_t sums_row, float scale,
                        const float* column_scales) {
  const int64_t channels = args.conv.groups * args.conv.out_channels;
  if (args.bytes.y != nullptr)
    return finish_bytes(args.bytes, channels, rows, column, columns, sums, sums_row);
  for (int64_t r = rows.begin; r < rows.end; ++r, sums += sums_row) {
    const int64_t at = r * channels + column;
    if (args.sums != nullptr) {
      copy_bytes(args.sums + at, sums, static_cast<std::size_t>(columns) * 4);
      continue;
    }
    for (int64_t j = 0; j < columns; j += kLanes) {
      Int sum;
      copy_bytes(&sum, sums + j, sizeof(sum));
      store_upto(
          args.conv.y + at + j,
          __builtin_convertvector(sum, Vec) * (splat(scale) * load(column_scales + column + j)),
          columns - j);
    }
  }
  if (args.sums == nullptr)
    finish_outputs(args.conv, rows, column, columns, args.conv.y + rows.begin * channels + column);
}

TERCEL_ISA_END
