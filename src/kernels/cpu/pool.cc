#include "src/kernels/cpu/pool.h"

#include "src/kernels/cpu/bytes.h"
#include "src/kernels/cpu/conv_task.h"
#include "src/kernels/cpu/isa_tables.h"

TERCEL_ISA_BEGIN

// A vector of channels of one output: fold(result, where x has them) over the window.
template <class T, class V, class Fold>
inline V fold_window(const PoolArgs& a, const T* image, const TapRange* taps, const int64_t* start,
                     V result, const Fold& fold) {
  const ConvAxis* axes = a.axes;
  for (int64_t z = taps[0].begin; z < taps[0].end; ++z) {
    for (int64_t y = taps[1].begin; y < taps[1].end; ++y) {
      const int64_t line =
          (start[0] + z * axes[0].dilation) * axes[1].in + start[1] + y * axes[1].dilation;
      const T* from = image + (line * axes[2].in + start[2]) * a.channels;
      for (int64_t x = taps[2].begin; x < taps[2].end; ++x)
        result = fold(result, from + x * axes[2].dilation * a.channels);
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

// finish(window(begin_with, fold), `counted` of the output, where y has it, channels) for all
// vectors of channels of all outputs; fold(result, x, channels).
template <class T, class V, class Fold, class Finish>
void pool_all(const PoolArgs& a, const T* x, T* y, ThreadPool& pool, V begin_with, Fold fold,
              Finish finish) {
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
      const T* image = x + i / strips / pixels * area * a.channels + channel;
      const V folded = fold_window(a, image, taps, start, begin_with, [&](V result, const T* from) {
        return fold(result, from, count);
      });
      finish(
          folded, [&] { return counted(a, taps, start); }, y + i / strips * a.channels + channel,
          count);
    }
  });
}

void max(const PoolArgs& args, ThreadPool& pool) {
  pool_all(
      args, args.x, args.y, pool, splat(-__builtin_inff()),
      [](Vec best, const float* from, int64_t count) {
        const Vec x = load_upto(from, count);
        return select((best == best) & ~(x <= best), x, best);
      },
      [](Vec best, auto, float* to, int64_t count) { store_upto(to, best, count); });
}

void max_bytes(const PoolArgs& args, ThreadPool& pool) {
  pool_all(
      args, static_cast<const uint8_t*>(args.x_bytes), static_cast<uint8_t*>(args.y_bytes), pool,
      splat_int(args.is_signed ? -128 : 0),
      [&](Int best, const uint8_t* from, int64_t count) {
        const Int x = load_bytes(from, args.is_signed, count);
        return x > best ? x : best;
      },
      [](Int best, auto, uint8_t* to, int64_t count) { store_low_bytes(to, best, count); });
}

void average(const PoolArgs& args, ThreadPool& pool) {
  pool_all(
      args, args.x, args.y, pool, zeros(),
      [](Vec sum, const float* from, int64_t count) { return sum + load_upto(from, count); },
      [](Vec sum, auto counted_taps, float* to, int64_t count) {
        store_upto(to, sum / splat(counted_taps()), count);
      });
}

TERCEL_ISA_END

TERCEL_ISA_TABLE(PoolKernels, pool_kernels, max, max_bytes, average)
