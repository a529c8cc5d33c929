#include "src/kernels/cuda/activation.cuh"
#include "src/kernels/cuda/gemm_narrow.h"
#include "src/kernels/cuda/groups.cuh"
#include "src/kernels/cuda/launch.cuh"

namespace tercel::kernels::cuda {
namespace {

constexpr int kMostColumns = 8;
constexpr int kWarps = 8;  // of a block
constexpr int kPack = 8;   // elements in 16 bytes
constexpr int64_t kMostWeights = 48 * 1024 / sizeof(float);

template <class T>
__global__ void __launch_bounds__(kWarps* kWarp) gemm_narrow_kernel(GemmArgs args) {
  extern __shared__ float weights[];  // [n, k]
  if (!args.b_is_weight) wait_for_earlier();
  const auto n = static_cast<int>(args.n), k = static_cast<int>(args.k);
  const T* b = static_cast<const T*>(args.b);
  for (int i = threadIdx.x; i < n * k; i += kWarps * kWarp) {
    const int column = i / k, step = i % k;
    weights[i] =
        widen(args.b_transposed ? b[column * args.b_row + step] : b[step * args.b_row + column]);
  }
  __syncthreads();
  if (args.b_is_weight) wait_for_earlier();
  let_next_start();
  const int lane = threadIdx.x % kWarp;
  const GemmEpilogue& epilogue = args.epilogue;
  for (int64_t row = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp; row < args.m;
       row += static_cast<int64_t>(gridDim.x) * kWarps) {
    const T* a = static_cast<const T*>(args.a) + row * args.a_row;
    float sums[kMostColumns] = {};
    for (int step = lane * kPack; step < k; step += kWarp * kPack) {
      const auto pack = *reinterpret_cast<const Pack<T, kPack>*>(a + step);
#pragma unroll
      for (int column = 0; column < kMostColumns; ++column) {
        if (column >= n) break;
        const float4* of = reinterpret_cast<const float4*>(weights + column * k + step);
        const float4 low = of[0], high = of[1];
        const float by[kPack] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
        for (int i = 0; i < kPack; ++i) sums[column] += widen(pack.at[i]) * by[i];
      }
    }
#pragma unroll
    for (int column = 0; column < kMostColumns; ++column) {
      if (column >= n) break;
      float y = args.alpha * warp_reduce<Sum>(sums[column]);
      if (lane != column) continue;
      if (epilogue.bias != nullptr) y += widen(static_cast<const T*>(epilogue.bias)[column]);
      y = activate(epilogue.activation, y);
      if (epilogue.residual != nullptr)
        y += widen(static_cast<const T*>(epilogue.residual)[row * epilogue.residual_row + column]);
      static_cast<T*>(args.c)[row * args.c_row + column] = narrow<T>(activate(epilogue.last, y));
    }
  }
}

}  // namespace

bool gemm_narrow_takes(const GemmArgs& args) {
  return (args.type == Dtype::f16 || args.type == Dtype::bf16) && args.batch == 1 && args.k > 0 &&
         args.k % kPack == 0 && args.n <= kMostColumns && args.n * args.k <= kMostWeights &&
         packs<uint16_t, kPack>(args.a, args.a_row);
}

void gemm_narrow(const GemmArgs& args, cudaStream_t stream) {
  if (args.m == 0 || args.n == 0) return;
  const int64_t blocks =
      std::min<int64_t>((args.m + kWarps - 1) / kWarps, int64_t{8} * multiprocessors());
  const auto bytes = static_cast<std::size_t>(args.n * args.k) * sizeof(float);
  const auto launch = [&](auto kernel) {
    launch_early("gemm_narrow", kernel, static_cast<unsigned>(blocks), kWarps * kWarp, bytes,
                 stream, args);
  };
  args.type == Dtype::f16 ? launch(gemm_narrow_kernel<Half>) : launch(gemm_narrow_kernel<Bfloat>);
}

}  // namespace tercel::kernels::cuda
