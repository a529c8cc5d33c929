#include <limits>

#include "src/kernels/cuda/activation.cuh"
#include "src/kernels/cuda/elementwise.h"
#include "src/kernels/cuda/launch.cuh"
#include "src/kernels/cuda/loop.cuh"

namespace tercel::kernels::cuda {
namespace {

constexpr unsigned kWarpColumns = 32;  // packs beside each other that a warp takes

template <class T>
__global__ void clip_kernel(int64_t count, const T* x, const T* low, const T* high, T* y) {
  for (int64_t i = global_thread(); i < count; i += all_threads()) {
    auto value = widen(x[i]);
    if (low != nullptr && value < widen(*low)) value = widen(*low);
    if (high != nullptr && value > widen(*high)) value = widen(*high);
    y[i] = narrow<T>(value);
  }
}

template <class T>
__global__ void where_kernel(Loop<3> loop, const uint8_t* condition, const T* a, const T* b,
                             T* out) {
  for (int64_t i = global_thread(); i < loop.count; i += all_threads()) {
    int64_t at[3];
    loop.locate(i, at);
    out[i] = condition[at[0]] != 0 ? a[at[1]] : b[at[2]];
  }
}

// Rows and columns by packs of N; a thread's packs are one column's, so that the bias is read once.
template <class T, int N, bool Gelu>
__global__ void bias_activation_kernel(BiasActivationArgs args, int64_t row_packs) {
  using P = Pack<T, N>;
  const GemmEpilogue& epilogue = args.epilogue;
  const int64_t place = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (place >= row_packs) return;
  wait_for_earlier();
  let_next_start();
  const int64_t column = place * N;
  float bias[N] = {};
  if (epilogue.bias != nullptr) {
    const auto pack = *reinterpret_cast<const P*>(static_cast<const T*>(epilogue.bias) + column);
#pragma unroll
    for (int j = 0; j < N; ++j) bias[j] = widen(pack.at[j]);
  }
  for (int64_t row = static_cast<int64_t>(blockIdx.y) * blockDim.y + threadIdx.y; row < args.rows;
       row += static_cast<int64_t>(gridDim.y) * blockDim.y) {
    const auto x =
        *reinterpret_cast<const P*>(static_cast<const T*>(args.x) + row * args.x_row + column);
    P residual, y;
    if (epilogue.residual != nullptr)
      residual = *reinterpret_cast<const P*>(static_cast<const T*>(epilogue.residual) +
                                             row * epilogue.residual_row + column);
#pragma unroll
    for (int j = 0; j < N; ++j) {
      float value = widen(x.at[j]) + bias[j];
      if constexpr (Gelu)
        value = std::is_same_v<T, float> ? gelu_erf(value) : gelu_fast(value);
      else
        value = activate(epilogue.activation, value);
      if (epilogue.residual != nullptr) value += widen(residual.at[j]);
      y.at[j] = narrow<T>(activate(epilogue.last, value));
    }
    *reinterpret_cast<P*>(static_cast<T*>(args.y) + row * args.y_row + column) = y;
  }
}

template <class T, int N>
__global__ void gated_kernel(GatedArgs args, int64_t row_packs) {
  using P = Pack<T, N>;
  const int64_t count = args.rows * row_packs;
  for (int64_t i = global_thread(); i < count; i += all_threads()) {
    const int64_t row = i / row_packs;
    const int64_t column = (i - row * row_packs) * N;
    const auto gate = *reinterpret_cast<const P*>(static_cast<const T*>(args.gate) +
                                                  row * args.gate_row + column);
    const auto up =
        *reinterpret_cast<const P*>(static_cast<const T*>(args.up) + row * args.up_row + column);
    P y;
#pragma unroll
    for (int j = 0; j < N; ++j)
      y.at[j] = narrow<T>(activate(args.activation, widen(gate.at[j])) * widen(up.at[j]));
    *reinterpret_cast<P*>(static_cast<T*>(args.y) + row * args.columns + column) = y;
  }
}

}  // namespace

void clip(const ClipArgs& args, cudaStream_t stream) {
  if (args.type == Dtype::boolean) unsupported_type("clip", args.type);
  if (args.count == 0) return;
  with_numeric_type("clip", args.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    clip_kernel<T><<<blocks_for(args.count), kThreads, 0, stream>>>(
        args.count, static_cast<const T*>(args.x), static_cast<const T*>(args.low),
        static_cast<const T*>(args.high), static_cast<T*>(args.y));
  });
  check_launch("clip");
}

void where(const WhereArgs& args, cudaStream_t stream) {
  auto loop = make_loop<3>(args.dims, {&args.condition_strides, &args.a_strides, &args.b_strides});
  if (loop.count == 0) return;
  finish_loop(loop, 1);
  with_element("where", args.element_bytes, [&](auto tag) {
    using T = typename decltype(tag)::type;
    where_kernel<T><<<blocks_for(loop.count), kThreads, 0, stream>>>(
        loop, args.condition, static_cast<const T*>(args.a), static_cast<const T*>(args.b),
        static_cast<T*>(args.out));
  });
  check_launch("where");
}

void bias_activation(const BiasActivationArgs& args, cudaStream_t stream) {
  if (args.rows == 0 || args.columns == 0) return;
  with_float_type("bias_activation", args.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    constexpr int kPack = kPackOf<T>;
    const GemmEpilogue& e = args.epilogue;
    const bool packed = args.columns % kPack == 0 && packs<T, kPack>(args.x, args.x_row) &&
                        packs<T, kPack>(args.y, args.y_row) && packs<T, kPack>(e.bias) &&
                        packs<T, kPack>(e.residual, e.residual_row);
    const int64_t row_packs = packed ? args.columns / kPack : args.columns;
    const dim3 block(kWarpColumns, kThreads / kWarpColumns);
    const int64_t across = (row_packs + block.x - 1) / block.x;
    const int64_t down = (args.rows + block.y - 1) / block.y;
    const int64_t most = std::max<int64_t>(int64_t{multiprocessors()} * 32 / across, 1);
    const dim3 blocks(static_cast<unsigned>(across),
                      static_cast<unsigned>(std::min<int64_t>({down, most, 65535})));
    const auto launch = [&](auto kernel) {
      launch_early("bias_activation", kernel, blocks, block, 0, stream, args, row_packs);
    };
    const bool gelu = e.activation == Activation::gelu;
    if (packed)
      launch(gelu ? bias_activation_kernel<T, kPack, true>
                  : bias_activation_kernel<T, kPack, false>);
    else
      launch(gelu ? bias_activation_kernel<T, 1, true> : bias_activation_kernel<T, 1, false>);
  });
}

void gated_activation(const GatedArgs& args, cudaStream_t stream) {
  if (args.rows == 0 || args.columns == 0) return;
  with_float_type("gated_activation", args.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    constexpr int kPack = kPackOf<T>;
    const bool packed = args.columns % kPack == 0 && packs<T, kPack>(args.gate, args.gate_row) &&
                        packs<T, kPack>(args.up, args.up_row) && packs<T, kPack>(args.y);
    const int64_t row_packs = packed ? args.columns / kPack : args.columns;
    const unsigned blocks = blocks_for(args.rows * row_packs);
    if (packed)
      gated_kernel<T, kPack><<<blocks, kThreads, 0, stream>>>(args, row_packs);
    else
      gated_kernel<T, 1><<<blocks, kThreads, 0, stream>>>(args, row_packs);
  });
  check_launch("gated_activation");
}

}  // namespace tercel::kernels::cuda
