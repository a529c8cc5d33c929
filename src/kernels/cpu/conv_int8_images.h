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
constexpr int64_t kByteSquare = 16;     // bytes that are turned at a time, and lines of them
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
    found[0] = extremes.low();
    found[1] = extremes.high();
    found[2] = extremes.poison();
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

typedef uint8_t Sixteen __attribute__((vector_size(16)));

// 16 x 16 bytes: four times each line of the upper half is laid between those of the lower.
inline void turn_square(const uint8_t* from, int64_t from_row, uint8_t* to, int64_t to_row) {
  Sixteen lines[kByteSquare];
  for (int i = 0; i < kByteSquare; ++i) copy_bytes(&lines[i], from + i * from_row, 16);
#pragma GCC unroll 4
  for (int stage = 0; stage < 4; ++stage) {
    Sixteen next[kByteSquare];
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      next[2 * i] = __builtin_shufflevector(lines[i], lines[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4,
                                            20, 5, 21, 6, 22, 7, 23);
      next[2 * i + 1] = __builtin_shufflevector(lines[i], lines[i + 8], 8, 24, 9, 25, 10, 26, 11,
                                                27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kByteSquare; ++i) lines[i] = next[i];
  }
  for (int i = 0; i < kByteSquare; ++i) copy_bytes(to + i * to_row, &lines[i], 16);
}

// The last square of a line begins before the end of the one before it.
inline void turn_columns(const uint8_t* x, int64_t rows, int64_t columns, Range strip, uint8_t* y) {
  if (strip.size() < kByteSquare || rows < kByteSquare) {
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = strip.begin; c < strip.end; ++c) y[c * rows + r] = x[r * columns + c];
    }
    return;
  }
  for (int64_t i = 0; i < rows; i += kByteSquare) {
    const int64_t r = least(i, rows - kByteSquare);
    for (int64_t j = strip.begin; j < strip.end; j += kByteSquare) {
      const int64_t c = least(j, strip.end - kByteSquare);
      turn_square(x + r * columns + c, columns, y + c * rows + r, rows);
    }
  }
}

void transpose_bytes(const void* from, int64_t batch, int64_t rows, int64_t columns, void* to,
                     ThreadPool& pool) {
  const int64_t strips = ceil_div(columns, 4 * kByteSquare);
  const double cost = static_cast<double>(rows * kByteSquare);
  for_ranges(pool, batch * strips, cost, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t image = i / strips * rows * columns;
      turn_columns(static_cast<const uint8_t*>(from) + image, rows, columns,
                   part(columns, i % strips, strips), static_cast<uint8_t*>(to) + image);
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

template <bool BIASED, bool ADDS>
inline void finish_byte_rows(const Int8ConvBytes& out, int64_t channels, Range rows, int64_t column,
                             int64_t columns, const int32_t* sums, int64_t sums_row) {
  const ByteRange own(out.type, out.relu);
  const ByteRange sum(out.sum_type, out.sum_relu);
  const auto* residual = static_cast<const uint8_t*>(out.residual.bytes);
  const auto* bias = BIASED ? reinterpret_cast<const float*>(out.bias) + column : nullptr;
  const float* scales = out.scales + column;
  auto* y = static_cast<uint8_t*>(out.y);
  for (int64_t r = rows.begin; r < rows.end; ++r, sums += sums_row) {
    const int64_t at = r * channels + column;
    const auto finish = [&](int64_t j, int64_t count) {
      Uint value;
      copy_bytes(&value, sums + j, sizeof(value));
      if constexpr (BIASED) value += (Uint)load_upto(bias + j, count);
      Vec number = __builtin_convertvector((Int)value, Vec) * load_upto(scales + j, count);
      if constexpr (ADDS) {
        const Vec other = load_steps(residual + at + j, out.residual.type, count);
        number = own.rounded(number) * splat(out.own_scale) + other * splat(out.residual.scale);
        store_low_bytes(y + at + j, sum.bytes(number), count);
      } else {
        store_low_bytes(y + at + j, own.bytes(number), count);
      }
    };
    int64_t j = 0;
    for (; j + kLanes <= columns; j += kLanes) finish(j, kLanes);
    if (j < columns) finish(j, columns - j);
  }
}

// The bytes of sums, a row of which has room for whole vectors.
inline void finish_bytes(const Int8ConvBytes& out, int64_t channels, Range rows, int64_t column,
                         int64_t columns, const int32_t* sums, int64_t sums_row) {
  const auto adding =
      out.bias != nullptr ? finish_byte_rows<true, true> : finish_byte_rows<false, true>;
  const auto alone =
      out.bias != nullptr ? finish_byte_rows<true, false> : finish_byte_rows<false, false>;
  (out.residual.bytes != nullptr ? adding : alone)(out, channels, rows, column, columns, sums,
                                                   sums_row);
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
