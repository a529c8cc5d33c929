#include "src/kernels/cuda/element.cuh"
#include "src/kernels/cuda/pool.h"

namespace tercel::kernels::cuda {
namespace {

struct Taps {
  int64_t first, last;
};

// Those of output `out` that stand in [low, high).
__device__ __forceinline__ Taps taps_in(const PoolAxis& axis, int64_t out, int64_t low,
                                        int64_t high) {
  const int64_t at = out * axis.stride - axis.begin;
  const int64_t first = at < low ? (low - at + axis.dilation - 1) / axis.dilation : 0;
  const int64_t last = at < high ? (high - at + axis.dilation - 1) / axis.dilation : 0;
  return {first, last < axis.taps ? last : axis.taps};
}

__device__ __forceinline__ int64_t counted(const PoolArgs& args, const int64_t (&out)[kPoolAxes]) {
  int64_t count = 1;
#pragma unroll
  for (int d = 0; d < kPoolAxes; ++d) {
    const PoolAxis& axis = args.axes[d];
    const Taps taps = args.with_pads ? taps_in(axis, out[d], -axis.begin, axis.in + axis.end)
                                     : taps_in(axis, out[d], 0, axis.in);
    count *= taps.last > taps.first ? taps.last - taps.first : 0;
  }
  return count;
}

// A thread has N neighbouring channels of a pixel; one of an image that lies channel by channel.
template <class T, int N, bool Max>
__global__ void pool_kernel(PoolArgs args, int64_t count) {
  using P = Pack<T, N>;
  const PoolAxis(&axes)[kPoolAxes] = args.axes;
  const int64_t across = args.channels_last ? args.channels / N : 1;
  const int64_t step = args.channels_last ? args.channels : 1;
  const int64_t image = axes[0].in * axes[1].in * axes[2].in * step;
  for (int64_t i = global_thread(); i < count; i += all_threads()) {
    int64_t rest = i / across;
    const int64_t channel = (i - rest * across) * N;
    int64_t out[kPoolAxes];
#pragma unroll
    for (int d = kPoolAxes - 1; d >= 0; --d) {
      out[d] = rest % axes[d].out;
      rest /= axes[d].out;
    }
    // `rest` is now the item of the batch, or the plane of a channel of an item.
    const T* from = static_cast<const T*>(args.x) + rest * image + channel;
    float values[N];
#pragma unroll
    for (int j = 0; j < N; ++j) values[j] = Max ? -INFINITY : 0.0F;
    const Taps z = taps_in(axes[0], out[0], 0, axes[0].in);
    const Taps y = taps_in(axes[1], out[1], 0, axes[1].in);
    const Taps x = taps_in(axes[2], out[2], 0, axes[2].in);
    for (int64_t kz = z.first; kz < z.last; ++kz) {
      const int64_t iz = out[0] * axes[0].stride - axes[0].begin + kz * axes[0].dilation;
      for (int64_t ky = y.first; ky < y.last; ++ky) {
        const int64_t iy = out[1] * axes[1].stride - axes[1].begin + ky * axes[1].dilation;
        for (int64_t kx = x.first; kx < x.last; ++kx) {
          const int64_t ix = out[2] * axes[2].stride - axes[2].begin + kx * axes[2].dilation;
          const auto pack =
              *reinterpret_cast<const P*>(from + ((iz * axes[1].in + iy) * axes[2].in + ix) * step);
#pragma unroll
          for (int j = 0; j < N; ++j) {
            const float value = widen(pack.at[j]);
            if constexpr (Max)
              values[j] = value > values[j] || isnan(value) ? value : values[j];
            else
              values[j] += value;
          }
        }
      }
    }
    P result;
    const float scale = Max ? 1.0F : static_cast<float>(counted(args, out));
#pragma unroll
    for (int j = 0; j < N; ++j) result.at[j] = narrow<T>(Max ? values[j] : values[j] / scale);
    *reinterpret_cast<P*>(static_cast<T*>(args.y) + i * N) = result;
  }
}

}  // namespace

void pool(const PoolArgs& args, cudaStream_t stream) {
  int64_t count = args.batch * args.channels;
  for (const PoolAxis& axis : args.axes) count *= axis.out;
  if (count == 0) return;
  with_float_type("pool", args.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    constexpr int kPack = kPackOf<T>;
    const bool packed = args.channels_last && args.channels % kPack == 0 &&
                        packs<T, kPack>(args.x) && packs<T, kPack>(args.y);
    const auto launch = [&](auto kernel, int64_t items) {
      kernel<<<blocks_for(items), kThreads, 0, stream>>>(args, items);
    };
    if (packed)
      launch(args.max ? pool_kernel<T, kPack, true> : pool_kernel<T, kPack, false>, count / kPack);
    else
      launch(args.max ? pool_kernel<T, 1, true> : pool_kernel<T, 1, false>, count);
  });
  check_launch("pool");
}

}  // namespace tercel::kernels::cuda
