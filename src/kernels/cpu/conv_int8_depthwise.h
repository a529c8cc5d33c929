#pragma once
// Depthwise convolution of images of bytes. Only for sources of tercel_isa_sources.
//
// Taps are multiplied in pairs of 16 bits. For some neighbouring outputs and a few channels, the
// pairs of pixels that they see are first laid out in strips: two lines of taps side by side, and
// the last of an odd number of lines beside itself, one tap further.

#include "src/kernels/cpu/conv_int8_images.h"
#include "src/kernels/cpu/gemm_int8_pack.h"

TERCEL_ISA_BEGIN

constexpr int64_t kStripVectors = 4;  // of channels that are laid out together, at least
constexpr int64_t kMostStripVectors = 8;
constexpr int64_t kStripsBytes = 20 << 10;  // with the sums, the first-level cache
constexpr int kOutputsAtOnce = 4;           // whose sums do not wait for each other

inline bool is_int8_depthwise(const PackedConvArgs& a) {
  return a.groups > 1 && a.in_channels == 1 && a.out_channels == 1;
}

// How the taps of a layer are paired.
struct TapPairs {
  int64_t lines, taps;   // taps of a line
  int64_t column_step;   // pixels of the input from a column of a strip to the next
  int64_t output_step;   // columns from an output to the next, 1 or 2
  int64_t tap_step = 0;  // columns from a tap to the next

  // Neighbouring outputs share columns, but where they see few of the same pixels or few of those
  // between: then every tap is a line.
  explicit TapPairs(const PackedConvArgs& a) {
    const ConvAxis& line = a.axes[2];
    const bool shares = line.stride <= 2 && line.dilation <= 4;
    lines = a.axes[0].taps * a.axes[1].taps * (shares ? 1 : line.taps);
    taps = shares ? line.taps : 1;
    column_step = shares ? 1 : line.stride;
    output_step = shares ? line.stride : 1;
    if (shares) tap_step = line.dilation;
  }

  int64_t strips() const { return ceil_div(lines, 2); }
  bool of_two_lines(int64_t strip) const { return 2 * strip + 1 < lines; }
  int64_t of(int64_t strip) const { return of_two_lines(strip) ? taps : ceil_div(taps, 2); }
  int64_t all() const { return lines / 2 * taps + lines % 2 * ceil_div(taps, 2); }
  int64_t columns(int64_t outputs) const {
    return (outputs - 1) * output_step + (taps - 1) * tap_step + 1;
  }
};

// Vectors of channels; the last begins before the end of the one before it where they do not
// divide.
struct ChannelVectors {
  int64_t channels, count;

  explicit ChannelVectors(const PackedConvArgs& a)
      : channels(a.groups), count(ceil_div(a.groups, kLanes)) {}
  int64_t first(int64_t vector) const {
    return least(vector * kLanes, most<int64_t>(0, channels - kLanes));
  }
};

// --- The weight ----------------------------------------------------------------------------------

// Of each vector the sums of all taps, then its pairs, one after the other.
inline std::size_t depthwise_packed_bytes(const PackedConvArgs& a) {
  return checked_bytes(TapPairs(a).all() + 1, ChannelVectors(a).count, kLanes * 4);
}

inline void depthwise_pack(const PackedConvArgs& a, const PackInt8Args& weight) {
  const TapPairs pairs(a);
  const ChannelVectors vectors(a);
  auto* out = static_cast<uint32_t*>(weight.out);
  for (int64_t v = 0; v < vectors.count; ++v) {
    uint32_t* sums = out;
    __builtin_memset(out, 0, static_cast<std::size_t>(pairs.all() + 1) * kLanes * 4);
    out += kLanes;
    for (int64_t strip = 0; strip < pairs.strips(); ++strip) {
      const bool two = pairs.of_two_lines(strip);
      for (int64_t t = 0; t < pairs.of(strip); ++t, out += kLanes) {
        const int64_t upper = 2 * strip * pairs.taps + (two ? t : 2 * t);
        const int64_t lower = upper + (two ? pairs.taps : 1);
        for (int64_t lane = 0; lane < kLanes; ++lane) {
          const int64_t c = vectors.first(v) + lane;
          if (c >= vectors.channels) break;
          const auto high = static_cast<uint32_t>(weight_at(weight, upper, c));
          const uint32_t low =
              lower < weight.k ? static_cast<uint32_t>(weight_at(weight, lower, c)) : 0;
          out[lane] = (high & 0xffffU) | (low << 16);
          sums[lane] += high + low;
        }
      }
    }
  }
}

// --- A thread's memory ---------------------------------------------------------------------------

struct StripsLayout {
  int64_t blocks, vectors;    // blocks of so many vectors of channels
  int64_t segments, outputs;  // segments of a line, of so many outputs
  int64_t columns, strips;    // elements between columns of vectors, and strips
  int64_t sums_row, sums, offsets, padding, bytes;

  explicit StripsLayout(const PackedConvArgs& a) {
    const TapPairs pairs(a);
    const ChannelVectors all(a);
    const int64_t out = a.axes[2].out, pair_bytes = pairs.strips() * kLanes * 4;
    const int64_t whole = kStripsBytes / (pair_bytes * pairs.columns(most<int64_t>(1, out)));
    blocks = ceil_div(all.count, least(kMostStripVectors, most(kStripVectors, whole)));
    vectors = ceil_div(all.count, blocks);
    const int64_t fitting =
        (kStripsBytes / (pair_bytes * vectors) - pairs.columns(1)) / pairs.output_step;
    segments = most<int64_t>(1, ceil_div(out, most<int64_t>(fitting, 4 * kOutputsAtOnce)));
    outputs = ceil_div(out, segments);
    columns = pairs.columns(outputs) * kLanes;
    strips = vectors * columns;
    sums_row = vectors * kLanes;
    sums = round_up(pairs.strips() * strips * 4, kLine);
    offsets = sums + round_up(outputs * sums_row * 4, kLine);
    padding = offsets + round_up(pairs.all() * 8, kLine);
    bytes = padding + kLine;
  }
};

inline std::size_t depthwise_workspace(const PackedConvArgs& a, int threads) {
  const TapPairs pairs(a);
  checked_bytes(pairs.all() + 16, pairs.columns(a.axes[2].out + 16),
                (kMostStripVectors + 1) * kLine);
  return checked_bytes(StripsLayout(a).bytes, threads, 1);
}

// --- Pairs of pixels -----------------------------------------------------------------------------

// What a tap sees in neighbouring columns.
struct PixelRun {
  const uint8_t* pixel;  // of column 0, wherever that is
  int64_t step;          // bytes from a column to the next
  TapRange inside;       // the columns that the image has; those around them have padding
  const uint8_t* padding;

  bool has(int64_t column) const { return column >= inside.begin && column < inside.end; }
  // The first column from `column` on of which something else is true.
  int64_t turn(int64_t column, int64_t columns) const {
    if (column < inside.begin) return inside.begin;
    return column < inside.end ? inside.end : columns;
  }
  const uint8_t* at(int64_t column) const { return has(column) ? pixel + column * step : padding; }
  int64_t step_at(int64_t column) const { return has(column) ? step : 0; }
};

// The upper pixel's bytes in the low halves.
template <bool SIGNED>
inline Int load_pairs(const uint8_t* upper, const uint8_t* lower, int64_t count) {
#if defined(TERCEL_ISA_avx2)
  if (count >= kLanes) {
    const __m128i bytes =
        _mm_unpacklo_epi8(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(upper)),
                          _mm_loadl_epi64(reinterpret_cast<const __m128i*>(lower)));
    return SIGNED ? (Int)_mm256_cvtepi8_epi16(bytes) : (Int)_mm256_cvtepu8_epi16(bytes);
  }
#endif
  return (load_bytes(upper, SIGNED, count) & 0xffff) | (load_bytes(lower, SIGNED, count) << 16);
}

// Of some vectors of channels, which go `next` elements apart.
template <bool SIGNED, int VECTORS>
inline void put_pairs(const PixelRun& upper, const PixelRun& lower, int64_t columns, int64_t count,
                      int32_t* to, int64_t next) {
  for (int64_t i = 0; i < columns;) {
    const int64_t end = least(upper.turn(i, columns), lower.turn(i, columns));
    const uint8_t* high = upper.at(i);
    const uint8_t* low = lower.at(i);
    const int64_t high_step = upper.step_at(i), low_step = lower.step_at(i);
    for (; i < end; ++i, high += high_step, low += low_step, to += kLanes) {
#pragma GCC unroll 2
      for (int v = 0; v < VECTORS; ++v) {
        const Int pairs = load_pairs<SIGNED>(high + v * kLanes, low + v * kLanes, count);
        copy_bytes(to + v * next, &pairs, sizeof(pairs));
      }
    }
  }
}

// --- The convolution -----------------------------------------------------------------------------

// The sums of neighbouring outputs, STEP columns apart.
template <int OUTPUTS, int STEP>
inline void multiply_pairs(const int32_t* strips, const int64_t* offsets, int64_t pairs,
                           const int32_t* weight, Int start, int32_t* to, int64_t to_row) {
  Int sums[OUTPUTS];
#pragma GCC unroll 4
  for (Int& sum : sums) sum = start;
  for (int64_t p = 0; p < pairs; ++p, weight += kLanes) {
    Int w;
    copy_bytes(&w, weight, sizeof(w));
#pragma GCC unroll 4
    for (int o = 0; o < OUTPUTS; ++o) {
      Int pixels;
      copy_bytes(&pixels, strips + offsets[p] + o * STEP * kLanes, sizeof(pixels));
      sums[o] = add_pairs(sums[o], pixels, w);
    }
  }
#pragma GCC unroll 4
  for (int o = 0; o < OUTPUTS; ++o) copy_bytes(to + o * to_row, &sums[o], sizeof(Int));
}

struct DepthwiseTask {
  const Int8ConvArgs& args;
  TapPairs pairs;
  ChannelVectors vectors;
  StripsLayout layout;
  char* memory;

  int32_t* strips() const { return reinterpret_cast<int32_t*>(memory); }
  int32_t* sums() const { return reinterpret_cast<int32_t*>(memory + layout.sums); }
  int64_t* offsets() const { return reinterpret_cast<int64_t*>(memory + layout.offsets); }
  uint8_t* padding() const { return reinterpret_cast<uint8_t*>(memory + layout.padding); }

  // Column 0 is that of output `ox` of the line `row` of outputs.
  PixelRun run_of(int64_t line, int64_t further, int64_t row, int64_t ox, int64_t columns) const {
    const ConvAxis* axes = args.conv.axes;
    const int64_t in_line = axes[2].taps / pairs.taps;  // of the lines of the taps
    const int64_t shift = line % in_line + further;
    const int64_t ky = line / in_line % axes[1].taps, kz = line / in_line / axes[1].taps;
    const int64_t y = row % axes[1].out * axes[1].stride - axes[1].pad + ky * axes[1].dilation;
    const int64_t z =
        row / axes[1].out % axes[0].out * axes[0].stride - axes[0].pad + kz * axes[0].dilation;
    const int64_t x = ox * axes[2].stride - axes[2].pad + shift * axes[2].dilation;
    const int64_t image = row / axes[1].out / axes[0].out;
    const int64_t pixel = ((image * axes[0].in + z) * axes[1].in + y) * axes[2].in + x;
    const bool seen = inside(axes[0], z) && inside(axes[1], y);
    const ConvAxis walk{.in = axes[2].in, .taps = columns, .dilation = pairs.column_step};
    return {static_cast<const uint8_t*>(args.x_bytes) + pixel * vectors.channels,
            pairs.column_step * vectors.channels,
            seen ? taps_inside(walk, x) : TapRange{columns, columns}, padding()};
  }

  void put_strip(PixelRun upper, PixelRun lower, int64_t columns, Range block, int32_t* to) const {
    const bool is_signed = args.x_type.is_signed;
    const auto put = is_signed ? put_pairs<true, 1> : put_pairs<false, 1>;
    const auto put_two = is_signed ? put_pairs<true, 2> : put_pairs<false, 2>;
    const int64_t count = least<int64_t>(kLanes, vectors.channels);
    const uint8_t* high = upper.pixel;
    const uint8_t* low = lower.pixel;
    for (int64_t v = block.begin; v < block.end;) {
      const int64_t first = vectors.first(v);
      const bool two = v + 1 < block.end && vectors.first(v + 1) == first + kLanes;
      upper.pixel = high + first;
      lower.pixel = low + first;
      (two ? put_two : put)(upper, lower, columns, count, to + (v - block.begin) * layout.columns,
                            layout.columns);
      v += two ? 2 : 1;
    }
  }

  // The strips of a segment, and where in them each pair of a vector's first output is.
  void lay_out(int64_t row, Range outputs, Range block) const {
    __builtin_memset(padding(), args.x_type.zero & 0xff, kLine);
    const int64_t columns = pairs.columns(outputs.size());
    int64_t* offset = offsets();
    for (int64_t strip = 0; strip < pairs.strips(); ++strip) {
      const bool two = pairs.of_two_lines(strip);
      const int64_t line = 2 * strip;
      const PixelRun upper = run_of(line, 0, row, outputs.begin, columns);
      const PixelRun lower = run_of(line + (two ? 1 : 0), two ? 0 : 1, row, outputs.begin, columns);
      put_strip(upper, lower, columns, block, strips() + strip * layout.strips);
      for (int64_t t = 0; t < pairs.of(strip); ++t)
        *offset++ = strip * layout.strips + t * (two ? 1 : 2) * pairs.tap_step * kLanes;
    }
  }

  template <int STEP>
  void multiply_vector(int64_t outputs, const int32_t* from, int64_t vector, int32_t* to) const {
    const int64_t all = pairs.all(), row = layout.sums_row;
    const int32_t* weight = static_cast<const int32_t*>(args.packed) + vector * (all + 1) * kLanes;
    Uint total;
    copy_bytes(&total, weight, sizeof(total));
    const Int start = (Int)((Uint)splat_int(-args.x_type.zero) * total);
    weight += kLanes;
    int64_t o = 0;
    // The last begin before the end of those before them.
    for (; outputs >= kOutputsAtOnce && o < outputs; o += kOutputsAtOnce) {
      const int64_t at = least<int64_t>(o, outputs - kOutputsAtOnce);
      multiply_pairs<kOutputsAtOnce, STEP>(from + at * STEP * kLanes, offsets(), all, weight, start,
                                           to + at * row, row);
    }
    for (; o < outputs; ++o)
      multiply_pairs<1, STEP>(from + o * STEP * kLanes, offsets(), all, weight, start, to + o * row,
                              row);
  }

  // A segment of a line of outputs, a block of vectors of channels.
  void run(int64_t row, Range outputs, Range block) const {
    lay_out(row, outputs, block);
    const int64_t first = vectors.first(block.begin);
    for (int64_t v = block.begin; v < block.end; ++v) {
      const int32_t* from = strips() + (v - block.begin) * layout.columns;
      int32_t* to = sums() + vectors.first(v) - first;
      if (pairs.output_step == 1)
        multiply_vector<1>(outputs.size(), from, v, to);
      else
        multiply_vector<2>(outputs.size(), from, v, to);
    }
    const int64_t last = vectors.first(block.end - 1) + least<int64_t>(kLanes, vectors.channels);
    const int64_t at = row * args.conv.axes[2].out;
    finish_sums(args, {at + outputs.begin, at + outputs.end}, first, last - first, sums(),
                layout.sums_row, 1, nullptr);
  }
};

inline void depthwise_conv(const Int8ConvArgs& args, ThreadPool& pool) {
  const PackedConvArgs& a = args.conv;
  const TapPairs pairs(a);
  const ChannelVectors vectors(a);
  const StripsLayout layout(a);
  const int64_t rows = a.batch * a.axes[0].out * a.axes[1].out;
  const int64_t items = rows * layout.segments * layout.blocks;
  const double cost = static_cast<double>(rows * a.axes[2].out * vectors.count) *
                      static_cast<double>(pairs.all() + pairs.strips() + 4);
  char* memory = static_cast<char*>(args.workspace);
  for_items(pool, items, cost / 2, [&](int64_t item, int64_t slot) {
    const DepthwiseTask task{args, pairs, vectors, layout, memory + slot * layout.bytes};
    const int64_t segment = item / layout.blocks % layout.segments;
    task.run(item / layout.blocks / layout.segments, part(a.axes[2].out, segment, layout.segments),
             part(vectors.count, item % layout.blocks, layout.blocks));
  });
}

TERCEL_ISA_END
