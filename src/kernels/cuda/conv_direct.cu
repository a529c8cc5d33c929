#include "src/kernels/cuda/activation.cuh"
#include "src/kernels/cuda/conv.h"
#include "src/kernels/cuda/element.cuh"

namespace tercel::kernels::cuda {
namespace {

// The input that a tap of an output sees; -1 for none.
template <bool Transposed>
__device__ __forceinline__ int64_t seen(const ConvAxis& axis, int64_t out, int64_t tap) {
  if constexpr (Transposed) {
    const int64_t at = out + axis.begin - tap * axis.dilation;
    return at >= 0 && at % axis.stride == 0 && at / axis.stride < axis.in ? at / axis.stride : -1;
  }
  const int64_t at = out * axis.stride - axis.begin + tap * axis.dilation;
  return at >= 0 && at < axis.in ? at : -1;
}

// Calls body(pixel, tap) for each input that output (z, y, x) of an image sees.
template <bool Transposed, class Body>
__device__ __forceinline__ void for_each_seen(const ConvAxis (&axes)[kConvAxes], int64_t z,
                                              int64_t y, int64_t x, Body body) {
  for (int64_t kz = 0; kz < axes[0].taps; ++kz) {
    const int64_t iz = seen<Transposed>(axes[0], z, kz);
    for (int64_t ky = 0; iz >= 0 && ky < axes[1].taps; ++ky) {
      const int64_t iy = seen<Transposed>(axes[1], y, ky);
      for (int64_t kx = 0; iy >= 0 && kx < axes[2].taps; ++kx) {
        const int64_t ix = seen<Transposed>(axes[2], x, kx);
        if (ix >= 0)
          body((iz * axes[1].in + iy) * axes[2].in + ix,
               (kz * axes[1].taps + ky) * axes[2].taps + kx);
      }
    }
  }
}

// A thread has N neighbouring channels of a pixel; more than one only where each channel is a
// group.
template <class T, int N, bool Transposed>
__global__ void conv_direct_kernel(ConvArgs args, int64_t count) {
  using P = Pack<T, N>;
  const int64_t packs_of_pixel = args.out_channels / N;
  const int64_t group_in = args.in_channels / args.groups;
  const int64_t group_out = args.out_channels / args.groups;
  const int64_t taps = args.axes[0].taps * args.axes[1].taps * args.axes[2].taps;
  const int64_t image = args.axes[0].in * args.axes[1].in * args.axes[2].in;
  const T* w = static_cast<const T*>(args.w);
  for (int64_t i = global_thread(); i < count; i += all_threads()) {
    int64_t pixel = i / packs_of_pixel;
    const int64_t channel = (i - pixel * packs_of_pixel) * N;
    const int64_t x = pixel % args.axes[2].out;
    pixel /= args.axes[2].out;
    const int64_t y = pixel % args.axes[1].out;
    pixel /= args.axes[1].out;
    const int64_t z = pixel % args.axes[0].out;
    const int64_t group = channel / group_out;
    const T* from = static_cast<const T*>(args.x) +
                    pixel / args.axes[0].out * image * args.in_channels + group * group_in;
    float sums[N] = {};
    for_each_seen<Transposed>(args.axes, z, y, x, [&](int64_t at, int64_t tap) {
      const T* in = from + at * args.in_channels;
      if constexpr (N > 1) {
        const auto pack = *reinterpret_cast<const P*>(in);
#pragma unroll
        for (int j = 0; j < N; ++j)
          sums[j] += widen(pack.at[j]) * widen(w[(channel + j) * taps + tap]);
      } else if constexpr (Transposed) {
        const T* by = w + (group * group_in * taps + tap) * group_out + channel - group * group_out;
        for (int64_t c = 0; c < group_in; ++c)
          sums[0] += widen(in[c]) * widen(by[c * taps * group_out]);
      } else {
        const T* by = w + (channel * taps + tap) * group_in;
        for (int64_t c = 0; c < group_in; ++c) sums[0] += widen(in[c]) * widen(by[c]);
      }
    });
    P out;
#pragma unroll
    for (int j = 0; j < N; ++j) {
      float value = sums[j];
      if (args.bias != nullptr) value += widen(static_cast<const T*>(args.bias)[channel + j]);
      value = activate(args.activation, value);
      if (args.residual != nullptr) value += widen(static_cast<const T*>(args.residual)[i * N + j]);
      out.at[j] = narrow<T>(activate(args.last, value));
    }
    *reinterpret_cast<P*>(static_cast<T*>(args.y) + i * N) = out;
  }
}

}  // namespace

void conv_direct(const ConvArgs& args, cudaStream_t stream) {
  int64_t count = args.batch * args.out_channels;
  for (const ConvAxis& axis : args.axes) count *= axis.out;
  if (count == 0) return;
  with_float_type("conv_direct", args.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    constexpr int kPack = kPackOf<T>;
    const bool single = args.in_channels == args.groups && args.out_channels == args.groups;
    const bool packed = single && !args.transposed && args.out_channels % kPack == 0 &&
                        packs<T, kPack>(args.x) && packs<T, kPack>(args.y);
    const auto launch = [&](auto kernel, int64_t items) {
      kernel<<<blocks_for(items), kThreads, 0, stream>>>(args, items);
    };
    if (packed)
      launch(conv_direct_kernel<T, kPack, false>, count / kPack);
    else if (args.transposed)
      launch(conv_direct_kernel<T, 1, true>, count);
    else
      launch(conv_direct_kernel<T, 1, false>, count);
  });
  check_launch("conv_direct");
}

}  // namespace tercel::kernels::cuda
