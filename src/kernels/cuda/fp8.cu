#include <cfloat>

#include <cuda_fp8.h>

#include "src/kernels/cuda/activation.cuh"
#include "src/kernels/cuda/groups.cuh"
#include "src/kernels/cuda/launch.cuh"

namespace tercel::kernels::cuda {
namespace {

constexpr float kLargest = 448.0F;  // of E4M3

// activation(x + bias), N elements of a row from `column` on.
template <class T, bool Gelu, int N>
__device__ __forceinline__ void load(const Fp8QuantizeArgs& args, int64_t row, int64_t column,
                                     float (&values)[N]) {
  using P = Pack<T, N>;
  const auto x =
      *reinterpret_cast<const P*>(static_cast<const T*>(args.x) + row * args.x_row + column);
  P bias{};
  if (args.bias != nullptr)
    bias = *reinterpret_cast<const P*>(static_cast<const T*>(args.bias) + column);
#pragma unroll
  for (int j = 0; j < N; ++j) {
    const float value = widen(x.at[j]) + widen(bias.at[j]);
    values[j] = Gelu ? gelu_fast(value) : activate(args.activation, value);
  }
}

template <int N>
__device__ __forceinline__ float largest(const float (&values)[N], float most) {
#pragma unroll
  for (int j = 0; j < N; ++j) most = Max::of(fabsf(values[j]), most);
  return most;
}

__device__ __forceinline__ float scale_of(float most) {
  return most > 0.0F ? fmaxf(most / kLargest, FLT_MIN) : 1.0F;
}

template <int N>
__device__ __forceinline__ void put(const Fp8QuantizeArgs& args, int64_t row, int64_t column,
                                    float inverse, const float (&values)[N]) {
  Pack<uint8_t, N> out;
#pragma unroll
  for (int j = 0; j < N; ++j)
    out.at[j] = __nv_cvt_float_to_fp8(values[j] * inverse, __NV_SATFINITE, __NV_E4M3);
  *reinterpret_cast<Pack<uint8_t, N>*>(static_cast<uint8_t*>(args.y) + row * args.columns +
                                       column) = out;
}

// A row in the registers of a group.
template <class T, int N, int Packs, bool Gelu>
__global__ void quantize_kernel(Fp8QuantizeArgs args) {
  wait_for_earlier();
  let_next_start();
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.y; first < args.rows;
       first += static_cast<int64_t>(gridDim.x) * blockDim.y) {
    const int64_t row = first + threadIdx.y;
    const bool here = row < args.rows;
    float values[Packs][N];
    float most = 0.0F;
#pragma unroll
    for (int p = 0; p < Packs; ++p) {
      const int64_t column = (static_cast<int64_t>(p) * blockDim.x + threadIdx.x) * N;
      if (!here || column >= args.columns) continue;
      load<T, Gelu>(args, row, column, values[p]);
      most = largest(values[p], most);
    }
    const float scale = scale_of(group_reduce<Max>(most));
    if (!here) continue;
    if (threadIdx.x == 0) args.scales[row] = scale;
#pragma unroll
    for (int p = 0; p < Packs; ++p) {
      const int64_t column = (static_cast<int64_t>(p) * blockDim.x + threadIdx.x) * N;
      if (column < args.columns) put(args, row, column, 1.0F / scale, values[p]);
    }
  }
}

// Rows of any length, an element at a time, read twice.
template <class T, bool Gelu>
__global__ void quantize_long_kernel(Fp8QuantizeArgs args) {
  wait_for_earlier();
  let_next_start();
  for (int64_t row = blockIdx.x; row < args.rows; row += gridDim.x) {
    float most = 0.0F;
    float value[1];
    for (int64_t c = threadIdx.x; c < args.columns; c += blockDim.x) {
      load<T, Gelu>(args, row, c, value);
      most = largest(value, most);
    }
    const float scale = scale_of(group_reduce<Max>(most));
    if (threadIdx.x == 0) args.scales[row] = scale;
    for (int64_t c = threadIdx.x; c < args.columns; c += blockDim.x) {
      load<T, Gelu>(args, row, c, value);
      put(args, row, c, 1.0F / scale, value);
    }
  }
}

template <class T, bool Gelu>
void run(const Fp8QuantizeArgs& args, cudaStream_t stream) {
  constexpr int kPack = kPackOf<T>;
  const bool packed = args.columns % kPack == 0 && packs<T, kPack>(args.x, args.x_row) &&
                      packs<T, kPack>(args.bias) && packs<uint8_t, kPack>(args.y, args.columns);
  const Groups groups = groups_for(args.rows, args.columns / kPack);
  const auto launch = [&](auto kernel) {
    launch_early("quantize_fp8_rows", kernel, groups.blocks, groups.block(), 0, stream, args);
  };
  if (packed && groups.packs == 1)
    launch(quantize_kernel<T, kPack, 1, Gelu>);
  else if (packed && groups.packs == 2)
    launch(quantize_kernel<T, kPack, 2, Gelu>);
  else if (packed && groups.packs == 3)
    launch(quantize_kernel<T, kPack, 3, Gelu>);
  else if (packed && groups.packs == 4)
    launch(quantize_kernel<T, kPack, 4, Gelu>);
  else
    launch_early("quantize_fp8_rows", quantize_long_kernel<T, Gelu>,
                 static_cast<unsigned>(std::min<int64_t>(args.rows, 1 << 30)), kThreads, 0, stream,
                 args);
}

}  // namespace

void quantize_fp8_rows(const Fp8QuantizeArgs& args, cudaStream_t stream) {
  if (args.rows == 0 || args.columns == 0) return;
  with_float_type("quantize_fp8_rows", args.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (args.activation == Activation::gelu)
      run<T, true>(args, stream);
    else
      run<T, false>(args, stream);
  });
}

}  // namespace tercel::kernels::cuda
