#include "src/kernels/cuda/groups.cuh"
#include "src/kernels/cuda/launch.cuh"
#include "src/kernels/cuda/norm.h"

namespace tercel::kernels::cuda {
namespace {

__device__ __forceinline__ float result(bool log, float x, float most, float sum, float log_sum) {
  return log ? x - most - log_sum : expf(x - most) / sum;
}

// Rows of contiguous elements in the registers of a group.
template <class T, int N, int Packs>
__global__ void softmax_kernel(SoftmaxArgs args) {
  wait_for_earlier();
  let_next_start();
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.y; first < args.outer;
       first += static_cast<int64_t>(gridDim.x) * blockDim.y) {
    const int64_t row = first + threadIdx.y;
    float values[Packs][N];
    float most = -INFINITY;
#pragma unroll
    for (int p = 0; p < Packs; ++p) {
      const int64_t column = (static_cast<int64_t>(p) * blockDim.x + threadIdx.x) * N;
      if (row < args.outer && column < args.axis) {
        const auto pack = *reinterpret_cast<const Pack<T, N>*>(static_cast<const T*>(args.x) +
                                                               row * args.axis + column);
#pragma unroll
        for (int j = 0; j < N; ++j) values[p][j] = widen(pack.at[j]);
      } else {
#pragma unroll
        for (int j = 0; j < N; ++j) values[p][j] = -INFINITY;
      }
#pragma unroll
      for (int j = 0; j < N; ++j) most = Max::of(most, values[p][j]);
    }
    most = group_reduce<Max>(most);
    float sum = 0.0F;
#pragma unroll
    for (int p = 0; p < Packs; ++p) {
      const int64_t column = (static_cast<int64_t>(p) * blockDim.x + threadIdx.x) * N;
#pragma unroll
      for (int j = 0; j < N; ++j) sum += column < args.axis ? expf(values[p][j] - most) : 0.0F;
    }
    sum = group_reduce<Sum>(sum);
    const float log_sum = logf(sum);
#pragma unroll
    for (int p = 0; p < Packs; ++p) {
      const int64_t column = (static_cast<int64_t>(p) * blockDim.x + threadIdx.x) * N;
      if (row >= args.outer || column >= args.axis) continue;
      Pack<T, N> pack;
#pragma unroll
      for (int j = 0; j < N; ++j)
        pack.at[j] = narrow<T>(result(args.log, values[p][j], most, sum, log_sum));
      *reinterpret_cast<Pack<T, N>*>(static_cast<T*>(args.y) + row * args.axis + column) = pack;
    }
  }
}

// Lines of any length and stride, one a group of blockDim.x threads, or one a thread where
// neighbouring lines lie side by side.
template <class T, bool Alone>
__global__ void strided_softmax_kernel(SoftmaxArgs args) {
  const int64_t lines = args.outer * args.inner;
  const int64_t step = Alone ? 1 : blockDim.x;
  const int64_t begin = Alone ? 0 : threadIdx.x;
  const int64_t stride = Alone ? all_threads() : gridDim.x;
  for (int64_t line = Alone ? global_thread() : blockIdx.x; line < lines; line += stride) {
    const int64_t start = line / args.inner * args.axis * args.inner + line % args.inner;
    const T* x = static_cast<const T*>(args.x) + start;
    T* y = static_cast<T*>(args.y) + start;
    float most = -INFINITY, sum = 0.0F;
    for (int64_t i = begin; i < args.axis; i += step)
      most = Max::of(most, widen(x[i * args.inner]));
    if constexpr (!Alone) most = group_reduce<Max>(most);
    for (int64_t i = begin; i < args.axis; i += step) sum += expf(widen(x[i * args.inner]) - most);
    if constexpr (!Alone) sum = group_reduce<Sum>(sum);
    const float log_sum = logf(sum);
    for (int64_t i = begin; i < args.axis; i += step)
      y[i * args.inner] = narrow<T>(result(args.log, widen(x[i * args.inner]), most, sum, log_sum));
  }
}

template <class T>
void run(const SoftmaxArgs& args, cudaStream_t stream) {
  constexpr int kPack = kPackOf<T>;
  const int64_t lines = args.outer * args.inner;
  const Groups groups = groups_for(args.outer, args.axis / kPack);
  const bool packed = args.inner == 1 && args.axis % kPack == 0 && packs<T, kPack>(args.x) &&
                      packs<T, kPack>(args.y) && groups.packs > 0;
  const auto launch = [&](auto kernel) {
    launch_early("softmax", kernel, groups.blocks, groups.block(), 0, stream, args);
  };
  if (packed && groups.packs == 1) return launch(softmax_kernel<T, kPack, 1>);
  if (packed && groups.packs == 2) return launch(softmax_kernel<T, kPack, 2>);
  if (packed) return launch(softmax_kernel<T, kPack, kMaxPacks>);
  if (args.inner >= kWarp) {
    strided_softmax_kernel<T, true><<<blocks_for(lines), kThreads, 0, stream>>>(args);
  } else {
    const auto blocks = static_cast<unsigned>(std::min<int64_t>(lines, 1 << 30));
    const int threads = args.axis <= 128 ? kWarp : kThreads;
    strided_softmax_kernel<T, false><<<blocks, threads, 0, stream>>>(args);
  }
  check_launch("softmax");
}

}  // namespace

void softmax(const SoftmaxArgs& args, cudaStream_t stream) {
  with_float_type("softmax", args.type, [&](auto tag) {
    if (args.outer * args.axis * args.inner > 0) run<typename decltype(tag)::type>(args, stream);
  });
}

}  // namespace tercel::kernels::cuda
