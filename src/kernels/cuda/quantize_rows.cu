#include <cfloat>

#include <cuda_fp8.h>

#include "src/kernels/cuda/gemm.h"
#include "src/kernels/cuda/groups.cuh"
#include "src/kernels/cuda/launch.cuh"

namespace tercel::kernels::cuda {
namespace {

using Fp8 = __nv_fp8_e4m3;

template <class To>
constexpr float kLargest = std::is_same_v<To, int8_t> ? 127.0F : 448.0F;

template <class To>
__device__ __forceinline__ float scale_of(float most) {
  return most > 0.0F ? fmaxf(most / kLargest<To>, FLT_MIN) : 1.0F;
}

template <class To>
__device__ __forceinline__ uint8_t byte_of(float value) {
  if constexpr (std::is_same_v<To, int8_t>)
    return static_cast<uint8_t>(__float2int_rn(fminf(fmaxf(value, -127.0F), 127.0F)));
  else
    return __nv_cvt_float_to_fp8(value, __NV_SATFINITE, __NV_E4M3);
}

template <class To, int N>
__device__ __forceinline__ void put(const QuantizeRowsArgs& args, int64_t row, int64_t column,
                                    float inverse, const float (&values)[N]) {
  Pack<uint8_t, N> out;
#pragma unroll
  for (int j = 0; j < N; ++j) out.at[j] = byte_of<To>(values[j] * inverse);
  *reinterpret_cast<Pack<uint8_t, N>*>(static_cast<uint8_t*>(args.y) + row * args.columns +
                                       column) = out;
}

// A row in the registers of a group, the next one on its way.
template <class T, class To, int N, int Packs>
__global__ void __maxnreg__(kResidentRegisters) quantize_kernel(QuantizeRowsArgs args) {
  wait_for_earlier();
  let_next_start();
  const GroupColumns<N, Packs> columns(args.columns);
  Held<T, N> fetched[Packs];
  const auto fetch = [&](int64_t row) {
#pragma unroll
    for (int p = 0; p < Packs; ++p)
      if (row < args.rows && columns.inside[p])
        fetched[p].read(args.x, row * args.x_row + columns.at[p]);
  };
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.y;
  int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  fetch(row);
  // All threads of a block together.
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.y; first < args.rows;
       first += step, row += step) {
    const bool here = row < args.rows;
    float values[Packs][N];
    float most = 0.0F;
#pragma unroll
    for (int p = 0; p < Packs; ++p) {
      if (!here || !columns.inside[p]) continue;
#pragma unroll
      for (int j = 0; j < N; ++j) {
        values[p][j] = fetched[p].at(j);
        most = Max::of(fabsf(values[p][j]), most);
      }
    }
    fetch(row + step);
    const float scale = scale_of<To>(group_reduce<Max>(most));
    if (!here) continue;
    if (threadIdx.x == 0) args.scales[row] = scale;
#pragma unroll
    for (int p = 0; p < Packs; ++p)
      if (columns.inside[p]) put<To>(args, row, columns.at[p], 1.0F / scale, values[p]);
  }
}

// Rows of any length, an element at a time, read twice.
template <class T, class To>
__global__ void quantize_long_kernel(QuantizeRowsArgs args) {
  wait_for_earlier();
  let_next_start();
  for (int64_t row = blockIdx.x; row < args.rows; row += gridDim.x) {
    const T* x = static_cast<const T*>(args.x) + row * args.x_row;
    float most = 0.0F;
    for (int64_t c = threadIdx.x; c < args.columns; c += blockDim.x)
      most = Max::of(fabsf(widen(x[c])), most);
    const float scale = scale_of<To>(group_reduce<Max>(most));
    if (threadIdx.x == 0) args.scales[row] = scale;
    for (int64_t c = threadIdx.x; c < args.columns; c += blockDim.x) {
      const float value[1] = {widen(x[c])};
      put<To>(args, row, c, 1.0F / scale, value);
    }
  }
}

template <class T, class To>
void run(const QuantizeRowsArgs& args, cudaStream_t stream) {
  constexpr int kPack = kPackOf<T>;
  const bool packed = args.columns % kPack == 0 && packs<T, kPack>(args.x, args.x_row) &&
                      packs<uint8_t, kPack>(args.y, args.columns);
  const Groups groups = groups_for(args.rows, args.columns / kPack);
  const auto launch = [&](auto kernel) {
    launch_early("quantize_rows", kernel, groups.blocks, groups.block(), 0, stream, args);
  };
  if (packed && groups.packs == 1)
    launch(quantize_kernel<T, To, kPack, 1>);
  else if (packed && groups.packs == 2)
    launch(quantize_kernel<T, To, kPack, 2>);
  else if (packed && groups.packs == 3)
    launch(quantize_kernel<T, To, kPack, 3>);
  else if (packed && groups.packs == 4)
    launch(quantize_kernel<T, To, kPack, 4>);
  else
    launch_early("quantize_rows", quantize_long_kernel<T, To>,
                 static_cast<unsigned>(std::min<int64_t>(args.rows, 1 << 30)), kThreads, 0, stream,
                 args);
}

}  // namespace

void quantize_rows(const QuantizeRowsArgs& args, cudaStream_t stream) {
  if (args.rows == 0 || args.columns == 0) return;
  with_float_type("quantize_rows", args.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (args.to == Dtype::i8)
      run<T, int8_t>(args, stream);
    else
      run<T, Fp8>(args, stream);
  });
}

}  // namespace tercel::kernels::cuda
