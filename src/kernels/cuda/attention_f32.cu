// Attention of f32 in true f32: a block takes 16 queries of a head, a warp every fourth of them, a
// lane one key of a tile for the scores and every 32nd column for the sums.

#include "src/kernels/cuda/attention_item.cuh"
#include "src/kernels/cuda/groups.cuh"
#include "src/kernels/cuda/launch.cuh"

namespace tercel::kernels::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kQueriesOfWarp = 4;
constexpr int kQueries = kWarps * kQueriesOfWarp;
constexpr int kKeys = kWarp;

// Rows of `size` with one element more, so that a column's elements lie in different banks.
__device__ void copy(float* to, const float* from, int64_t stride, int64_t first, int rows,
                     int64_t length, int size) {
  for (int item = threadIdx.x; item < rows * size; item += blockDim.x) {
    const int row = item / size, column = item % size;
    to[row * (size + 1) + column] =
        first + row < length ? from[(first + row) * stride + column] : 0.0F;
  }
}

template <int Columns>  // of 32, of a row of V
__global__ void __launch_bounds__(kWarps* kWarp) attention_kernel(AttentionArgs args) {
  extern __shared__ float memory[];
  wait_for_earlier();
  let_next_start();
  const AttentionItem<float> item(args, kQueries);
  if (item.first >= item.q_length) return;
  const auto size = static_cast<int>(args.head_size);
  const auto v_size = static_cast<int>(args.v_head_size);
  float* q = memory;
  float* k = q + kQueries * (size + 1);
  float* v = k + kKeys * (size + 1);
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  float out[kQueriesOfWarp][Columns] = {};
  float most[kQueriesOfWarp], sum[kQueriesOfWarp] = {};
  for (float& value : most) value = -INFINITY;

  int64_t begin, end;
  item.range(args, kQueries, kKeys, begin, end);
  copy(q, item.q, args.q_strides.row, item.first, kQueries, item.q_length, size);
  for (int64_t first = begin; first < end; first += kKeys) {
    __syncthreads();
    copy(k, item.k, args.k_strides.row, first, kKeys, item.kv_length, size);
    copy(v, item.v, args.v_strides.row, first, kKeys, item.kv_length, v_size);
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kQueriesOfWarp; ++i) {
      const int row = warp + kWarps * i;
      float score = 0.0F;
      for (int c = 0; c < size; ++c)
        score = fmaf(q[row * (size + 1) + c], k[lane * (size + 1) + c], score);
      score = masked_score(args, item, item.first + row, first + lane, score * args.scale);
      const float next = fmaxf(most[i], warp_reduce<Max>(score));
      const float base = exponent_base(next);
      const float shrink = expf(most[i] - base);
      const float weight = expf(score - base);
      most[i] = next;
      sum[i] = sum[i] * shrink + weight;
#pragma unroll
      for (float& value : out[i]) value *= shrink;
      for (int key = 0; key < kKeys; ++key) {
        const float of_key = __shfl_sync(~0U, weight, key);
#pragma unroll
        for (int c = 0; c < Columns; ++c) {
          const int column = lane + kWarp * c;
          if (column < v_size) out[i][c] = fmaf(of_key, v[key * (v_size + 1) + column], out[i][c]);
        }
      }
    }
  }
#pragma unroll
  for (int i = 0; i < kQueriesOfWarp; ++i) {
    const int64_t query = item.first + warp + kWarps * i;
    const float all = warp_reduce<Sum>(sum[i]);
    const float inverse = all == 0.0F ? 0.0F : 1.0F / all;
    if (query >= item.q_length) continue;
#pragma unroll
    for (int c = 0; c < Columns; ++c) {
      const int column = lane + kWarp * c;
      if (column < v_size) item.out[query * args.out_strides.row + column] = out[i][c] * inverse;
    }
  }
}

}  // namespace

void attention_f32(const AttentionArgs& args, cudaStream_t stream) {
  const int64_t floats = (kQueries + kKeys) * (args.head_size + 1) + kKeys * (args.v_head_size + 1);
  const auto launch = [&](auto kernel) {
    const auto bytes = static_cast<int>(floats * static_cast<int64_t>(sizeof(float)));
    check_cuda(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes),
               "attention");
    launch_early("attention", kernel, attention_blocks(args, kQueries), kWarps * kWarp,
                 static_cast<std::size_t>(bytes), stream, args);
  };
  if (args.v_head_size <= 64) return launch(attention_kernel<2>);
  if (args.v_head_size <= 128) return launch(attention_kernel<4>);
  launch(attention_kernel<8>);
}

}  // namespace tercel::kernels::cuda
