#include "src/kernels/cuda/element.cuh"
#include "src/kernels/cuda/norm.h"

namespace tercel::kernels::cuda {
namespace {

// Packs of N elements, which are of one channel, or of neighbouring ones where `inner` is 1.
template <class T, int N>
__global__ void scale_shift_kernel(ScaleShiftArgs args, int64_t count) {
  using P = Pack<T, N>;
  const int step = args.inner == 1 ? 1 : 0;
  for (int64_t i = global_thread(); i < count; i += all_threads()) {
    const int64_t channel = i * N / args.inner % args.channels;
    auto pack = reinterpret_cast<const P*>(args.x)[i];
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const int64_t c = channel + j * step;
      pack.at[j] = narrow<T>(fmaf(widen(pack.at[j]), args.scale[c], args.shift[c]));
    }
    reinterpret_cast<P*>(args.y)[i] = pack;
  }
}

}  // namespace

void scale_shift(const ScaleShiftArgs& args, cudaStream_t stream) {
  const int64_t count = args.outer * args.channels * args.inner;
  if (count == 0) return;
  with_float_type("scale_shift", args.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    constexpr int kPack = kPackOf<T>;
    const int64_t run = args.inner == 1 ? args.channels : args.inner;
    if (run % kPack == 0 && packs<T, kPack>(args.x) && packs<T, kPack>(args.y))
      scale_shift_kernel<T, kPack>
          <<<blocks_for(count / kPack), kThreads, 0, stream>>>(args, count / kPack);
    else
      scale_shift_kernel<T, 1><<<blocks_for(count), kThreads, 0, stream>>>(args, count);
  });
  check_launch("scale_shift");
}

}  // namespace tercel::kernels::cuda
