#pragma once
// Depthwise convolution, channels last: a vector is kLanes channels. Only for sources of
// tercel_isa_sources.

#include "src/kernels/cpu/conv_task.h"

TERCEL_ISA_BEGIN

// Outputs of row (image, oz, oy), `count` <= kLanes channels from `channel`.
inline void depthwise_row(const PackedConvArgs& a, int64_t image, int64_t oz, int64_t oy,
                          int64_t channel, int64_t count) {
  const ConvAxis* axes = a.axes;
  const int64_t z0 = oz * axes[0].stride - axes[0].pad;
  const int64_t y0 = oy * axes[1].stride - axes[1].pad;
  const TapRange z = taps_inside(axes[0], z0);
  const TapRange y = taps_inside(axes[1], y0);
  const int64_t stride = round_up(a.groups, kLanes);
  int64_t at = ((image * axes[0].out + oz) * axes[1].out + oy) * axes[2].out * a.groups + channel;
  for (int64_t ox = 0; ox < axes[2].out; ++ox, at += a.groups) {
    const int64_t x0 = ox * axes[2].stride - axes[2].pad;
    const TapRange x = taps_inside(axes[2], x0);
    Vec sum = zeros();
    for (int64_t kz = z.begin; kz < z.end; ++kz) {
      for (int64_t ky = y.begin; ky < y.end; ++ky) {
        const int64_t line = (image * axes[0].in + z0 + kz * axes[0].dilation) * axes[1].in + y0 +
                             ky * axes[1].dilation;
        const float* from = a.x + (line * axes[2].in + x0) * a.groups + channel;
        const float* w = a.w + (kz * axes[1].taps + ky) * axes[2].taps * stride + channel;
        for (int64_t kx = x.begin; kx < x.end; ++kx) {
          const Vec value = load_upto(from + kx * axes[2].dilation * a.groups, count);
          sum = fma(load(w + kx * stride), value, sum);
        }
      }
    }
    store_upto(a.y + at, finished(a, sum, channel, at, count), count);
  }
}

inline void conv_depthwise(const PackedConvArgs& a, ThreadPool& pool) {
  const int64_t rows = a.axes[0].out * a.axes[1].out;
  const double cost = static_cast<double>(taps_of(a) * a.axes[2].out * a.groups) / kLanes;
  for_ranges(pool, a.batch * rows, cost, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t c = 0; c < a.groups; c += kLanes) {
        depthwise_row(a, i / rows, i % rows / a.axes[1].out, i % a.axes[1].out, c,
                      least<int64_t>(kLanes, a.groups - c));
      }
    }
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
