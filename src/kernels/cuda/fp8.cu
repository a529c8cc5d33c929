#include <cuda_fp8.h>

#include "src/kernels/cuda/gemm.h"
#include "src/kernels/cuda/groups.cuh"
#include "src/kernels/cuda/launch.cuh"

namespace tercel::kernels::cuda {
namespace {

constexpr float kLargest = 448.0F;  // of E4M3

// A row a group; the row is read twice, the second time out of the cache.
template <class T, int N>
__global__ void quantize_kernel(Fp8QuantizeArgs args) {
  wait_for_earlier();
  let_next_start();
  for (int64_t row = blockIdx.x; row < args.rows; row += gridDim.x) {
    const T* x = static_cast<const T*>(args.x) + row * args.x_row;
    auto* y = static_cast<uint8_t*>(args.y) + row * args.columns;
    float most = 0.0F;
    for (int64_t c = threadIdx.x * N; c < args.columns; c += blockDim.x * N) {
      const auto pack = *reinterpret_cast<const Pack<T, N>*>(x + c);
#pragma unroll
      for (int j = 0; j < N; ++j) most = fmaxf(most, fabsf(widen(pack.at[j])));
    }
    most = group_reduce<Max>(most);
    const float scale = most > 0.0F ? most / kLargest : 1.0F;
    if (threadIdx.x == 0) args.scales[row] = scale;
    const float inverse = 1.0F / scale;
    for (int64_t c = threadIdx.x * N; c < args.columns; c += blockDim.x * N) {
      const auto pack = *reinterpret_cast<const Pack<T, N>*>(x + c);
      Pack<uint8_t, N> out;
#pragma unroll
      for (int j = 0; j < N; ++j)
        out.at[j] = __nv_cvt_float_to_fp8(widen(pack.at[j]) * inverse, __NV_SATFINITE, __NV_E4M3);
      *reinterpret_cast<Pack<uint8_t, N>*>(y + c) = out;
    }
  }
}

}  // namespace

void quantize_fp8_rows(const Fp8QuantizeArgs& args, cudaStream_t stream) {
  if (args.rows == 0 || args.columns == 0) return;
  with_float_type("quantize_fp8_rows", args.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    constexpr int kPack = kPackOf<T>;
    const bool packed = args.columns % kPack == 0 && packs<T, kPack>(args.x, args.x_row) &&
                        packs<uint8_t, kPack>(args.y, args.columns);
    const int64_t threads = packed ? args.columns / kPack : args.columns;
    const auto block = static_cast<unsigned>(
        std::clamp<int64_t>((threads + kWarp - 1) / kWarp * kWarp, kWarp, kThreads));
    const auto blocks = static_cast<unsigned>(std::min<int64_t>(args.rows, 1 << 30));
    launch_early("quantize_fp8_rows", packed ? quantize_kernel<T, kPack> : quantize_kernel<T, 1>,
                 blocks, block, 0, stream, args);
  });
}

}  // namespace tercel::kernels::cuda
