#pragma once
// Attention's rows in the registers of four warps, as the tensor cores have them: scores of a tile
// of keys, and what online softmax (Milakov and Gimelshein, 2018; Dao et al., 2022) keeps of the
// tiles before.

#include "src/kernels/cuda/attention_item.cuh"
#include "src/kernels/cuda/mma.cuh"

namespace tercel::kernels::cuda {

constexpr int kQueries = 64;  // 16 a warp
constexpr int kAttentionThreads = 128;

// Within 2 ulp, subnormal results are zero: weights are rounded to T anyway.
__device__ __forceinline__ float exp_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x * kLog2E));
  return y;
}

// A thread holds rows 16 · warp + lane / 4 and 8 further, elements 2 and 3 of each 4.
template <class T, int Size, int Keys>
struct AttentionRows {
  float out[Size / 8][4] = {};
  float scores[Keys / 8][4];
  float most[2] = {-INFINITY, -INFINITY};
  float sum[2] = {};

  static __device__ __forceinline__ int lane() { return threadIdx.x % 32; }

  // `plain`: every key of the tile is seen by every query, nothing is added.
  __device__ __forceinline__ void mask(const AttentionArgs& args, const AttentionItem<T>& item,
                                       int64_t key, bool plain) {
    const int64_t query = item.first + threadIdx.x / 32 * 16 + lane() / 4;
#pragma unroll
    for (auto& score : scores)
#pragma unroll
      for (float& value : score) value *= args.scale;
    if (plain) return;
#pragma unroll
    for (int j = 0; j < Keys / 8; ++j)
#pragma unroll
      for (int i = 0; i < 4; ++i)
        scores[j][i] = masked_score(args, item, query + i / 2 * 8,
                                    key + 8 * j + lane() % 4 * 2 + i % 2, scores[j][i]);
  }

  // Scores become weights; what was summed before is scaled to the new maximum.
  __device__ __forceinline__ void soften() {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float next = most[half];
#pragma unroll
      for (int j = 0; j < Keys / 8; ++j)
        next = fmaxf(next, fmaxf(scores[j][2 * half], scores[j][2 * half + 1]));
      next = fmaxf(next, __shfl_xor_sync(~0U, next, 1));
      next = fmaxf(next, __shfl_xor_sync(~0U, next, 2));
      const float base = exponent_base(next);
      const float shrink = exp_fast(most[half] - base);
      most[half] = next;
      sum[half] *= shrink;
#pragma unroll
      for (auto& value : out) {
        value[2 * half] *= shrink;
        value[2 * half + 1] *= shrink;
      }
#pragma unroll
      for (int j = 0; j < Keys / 8; ++j)
#pragma unroll
        for (int i = 2 * half; i < 2 * half + 2; ++i) {
          scores[j][i] = exp_fast(scores[j][i] - base);
          sum[half] += scores[j][i];
        }
    }
  }

  // Scores 16 · j and on, which are weights now, as the left side of a product.
  __device__ __forceinline__ void weights_of(int j, uint32_t (&weights)[4]) const {
#pragma unroll
    for (int i = 0; i < 4; ++i)
      weights[i] =
          pair_of<T>(scores[2 * j + i / 2][i % 2 * 2], scores[2 * j + i / 2][i % 2 * 2 + 1]);
  }

  __device__ __forceinline__ void store(const AttentionArgs& args, const AttentionItem<T>& item,
                                        bool aligned) {
    const auto size = static_cast<int>(args.v_head_size);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float all = sum[half];
      all += __shfl_xor_sync(~0U, all, 1);
      all += __shfl_xor_sync(~0U, all, 2);
      const float inverse = all == 0.0F ? 0.0F : 1.0F / all;
      const int64_t query = item.first + threadIdx.x / 32 * 16 + lane() / 4 + 8 * half;
      if (query >= item.q_length) continue;
      T* row = item.out + query * args.out_strides.row;
#pragma unroll
      for (int d = 0; d < Size / 8; ++d) {
        const int column = 8 * d + lane() % 4 * 2;
        const float low = out[d][2 * half] * inverse, high = out[d][2 * half + 1] * inverse;
        if (aligned && column < size) {
          *reinterpret_cast<uint32_t*>(row + column) = pair_of<T>(low, high);
        } else {
          if (column < size) row[column] = narrow<T>(low);
          if (column + 1 < size) row[column + 1] = narrow<T>(high);
        }
      }
    }
  }
};

}  // namespace tercel::kernels::cuda
