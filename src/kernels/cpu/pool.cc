#include "src/kernels/cpu/pool.h"

#include "src/kernels/cpu/conv_task.h"
#include "src/kernels/cpu/isa_tables.h"

TERCEL_ISA_BEGIN

// A vector of channels of one output: `fold` over the window from `begin`.
template <class Fold>
inline Vec fold_window(const PoolArgs& a, const float* image, const TapRange* taps,
                       const int64_t* start, int64_t count, Vec result, Fold fold) {
  const ConvAxis* axes = a.axes;
  for (int64_t z = taps[0].begin; z < taps[0].end; ++z) {
    for (int64_t y = taps[1].begin; y < taps[1].end; ++y) {
      const int64_t line =
          (start[0] + z * axes[0].dilation) * axes[1].in + start[1] + y * axes[1].dilation;
      const float* from = image + (line * axes[2].in + start[2]) * a.channels;
      for (int64_t x = taps[2].begin; x < taps[2].end; ++x)
        result = fold(result, load_upto(from + x * axes[2].dilation * a.channels, count));
    }
  }
  return result;
}

float counted(const PoolArgs& a, const TapRange* taps, const int64_t* start) {
  float count = 1;
  for (int d = 0; d < 3; ++d) {
    ConvAxis padded = a.axes[d];
    padded.in += padded.pad + a.end_pads[d];
    const TapRange seen = a.with_pads ? taps_inside(padded, start[d] + padded.pad) : taps[d];
    count *= static_cast<float>(seen.end - seen.begin);
  }
  return count;
}

template <class Fold, class Finish>
void pool_all(const PoolArgs& a, ThreadPool& pool, Vec begin_with, Fold fold, Finish finish) {
  const ConvAxis* axes = a.axes;
  const int64_t pixels = axes[0].out * axes[1].out * axes[2].out;
  const int64_t area = axes[0].in * axes[1].in * axes[2].in;
  const int64_t strips = ceil_div(a.channels, kLanes);
  const double taps_at_most = static_cast<double>(least(axes[0].taps, axes[0].in)) *
                              static_cast<double>(least(axes[1].taps, axes[1].in)) *
                              static_cast<double>(least(axes[2].taps, axes[2].in));
  for_ranges(pool, a.batch * pixels * strips, taps_at_most, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      const int64_t pixel = i / strips % pixels;
      const int64_t channel = i % strips * kLanes;
      const int64_t count = a.channels - channel;
      const int64_t out[3] = {pixel / axes[2].out / axes[1].out, pixel / axes[2].out % axes[1].out,
                              pixel % axes[2].out};
      int64_t start[3];
      TapRange taps[3];
      for (int d = 0; d < 3; ++d) {
        start[d] = out[d] * axes[d].stride - axes[d].pad;
        taps[d] = taps_inside(axes[d], start[d]);
      }
      const float* image = a.x + i / strips / pixels * area * a.channels + channel;
      const Vec folded = fold_window(a, image, taps, start, count, begin_with, fold);
      store_upto(a.y + i / strips * a.channels + channel,
                 finish(folded, [&] { return counted(a, taps, start); }), count);
    }
  });
}

void max(const PoolArgs& args, ThreadPool& pool) {
  pool_all(
      args, pool, splat(-__builtin_inff()),
      [](Vec best, Vec x) { return select((best == best) & ~(x <= best), x, best); },
      [](Vec best, auto) { return best; });
}

void average(const PoolArgs& args, ThreadPool& pool) {
  pool_all(
      args, pool, zeros(), [](Vec sum, Vec x) { return sum + x; },
      [](Vec sum, auto count) { return sum / splat(count()); });
}

TERCEL_ISA_END

TERCEL_ISA_TABLE(PoolKernels, pool_kernels, max, average)
