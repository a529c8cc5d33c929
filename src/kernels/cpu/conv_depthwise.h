#pragma once
// Depthwise convolution, channels last: a vector is kLanes channels. Only for sources of
// tercel_isa_sources.

#include "src/kernels/cpu/conv_task.h"

TERCEL_ISA_BEGIN

// A row of outputs: the taps that see a row of the input, and where they begin.
struct DepthwiseRow {
  DepthwiseRow(const PackedConvArgs& a, int64_t row)
      : first_output(row * a.axes[2].out),
        z0(row / a.axes[1].out % a.axes[0].out * a.axes[0].stride - a.axes[0].pad),
        y0(row % a.axes[1].out * a.axes[1].stride - a.axes[1].pad),
        image(row / a.axes[1].out / a.axes[0].out),
        z(taps_inside(a.axes[0], z0)),
        y(taps_inside(a.axes[1], y0)) {}

  int64_t first_output, z0, y0, image;
  TapRange z, y;
};

// Neighbouring outputs from `ox`, which see the same taps `x` of a line: `count` <= kLanes channels
// from `channel`.
template <int kOutputs>
inline void depthwise_outputs(const PackedConvArgs& a, const DepthwiseRow& row, int64_t ox,
                              TapRange x, int64_t channel, int64_t count) {
  const ConvAxis* axes = a.axes;
  const int64_t stride = round_up(a.groups, kLanes);
  const int64_t x0 = ox * axes[2].stride - axes[2].pad;
  const int64_t next_output = axes[2].stride * a.groups;
  Vec sums[kOutputs];
  for (Vec& sum : sums) sum = zeros();
  for (int64_t kz = row.z.begin; kz < row.z.end; ++kz) {
    for (int64_t ky = row.y.begin; ky < row.y.end; ++ky) {
      const int64_t plane = row.image * axes[0].in + row.z0 + kz * axes[0].dilation;
      const int64_t line = plane * axes[1].in + row.y0 + ky * axes[1].dilation;
      const float* from = a.x + (line * axes[2].in + x0) * a.groups + channel;
      const float* w = a.w + (kz * axes[1].taps + ky) * axes[2].taps * stride + channel;
      for (int64_t kx = x.begin; kx < x.end; ++kx) {
        const Vec weight = load(w + kx * stride);
        const float* tap = from + kx * axes[2].dilation * a.groups;
        for (int o = 0; o < kOutputs; ++o)
          sums[o] = fma(weight, load_upto(tap + o * next_output, count), sums[o]);
      }
    }
  }
  for (int o = 0; o < kOutputs; ++o) {
    const int64_t at = (row.first_output + ox + o) * a.groups + channel;
    store_upto(a.y + at, finished(a, sums[o], channel, at, count), count);
  }
}

template <int kOutputs>
inline void depthwise_pixels(const PackedConvArgs& a, const DepthwiseRow& row, int64_t ox,
                             TapRange x) {
  int64_t c = 0;
  for (; c + kLanes <= a.groups; c += kLanes) depthwise_outputs<kOutputs>(a, row, ox, x, c, kLanes);
  if (c < a.groups) depthwise_outputs<kOutputs>(a, row, ox, x, c, a.groups - c);
}

// Outputs away from the ends of a line go some at a time: their sums do not wait for each other,
// and lines of the input stay in the first-level cache.
inline void depthwise_row(const PackedConvArgs& a, const DepthwiseRow& row) {
  constexpr int kOutputs = 4;
  const ConvAxis& line = a.axes[2];
  const auto taps_of_output = [&](int64_t ox) {
    return taps_inside(line, ox * line.stride - line.pad);
  };
  const auto sees_all = [&](int64_t ox) {
    const TapRange x = taps_of_output(ox);
    return x.begin == 0 && x.end == line.taps;
  };
  int64_t ox = 0;
  while (ox < line.out) {
    if (ox + kOutputs <= line.out && sees_all(ox) && sees_all(ox + kOutputs - 1)) {
      depthwise_pixels<kOutputs>(a, row, ox, {0, line.taps});
      ox += kOutputs;
    } else {
      depthwise_pixels<1>(a, row, ox, taps_of_output(ox));
      ++ox;
    }
  }
}

inline void conv_depthwise(const PackedConvArgs& a, ThreadPool& pool) {
  const int64_t rows = a.batch * a.axes[0].out * a.axes[1].out;
  const double cost = static_cast<double>(taps_of(a) * a.axes[2].out * a.groups) / kLanes;
  for_ranges(pool, rows, cost, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) depthwise_row(a, DepthwiseRow(a, i));
  });
}

inline void pack_depthwise(const PackedConvArgs& a, const float* w, float* out) {
  const int64_t taps = taps_of(a);
  const int64_t stride = round_up(a.groups, kLanes);
  for (int64_t t = 0; t < taps; ++t) {
    for (int64_t c = 0; c < stride; ++c) *out++ = c < a.groups ? w[c * taps + t] : 0;
  }
}

TERCEL_ISA_END
