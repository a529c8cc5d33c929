#pragma once
// Attention's rows in the registers of four warps, as the tensor cores have them: scores of a tile
// of keys, and what online softmax (Milakov and Gimelshein, 2018; Dao et al., 2022) keeps of the
// tiles before.

#include "src/kernels/cuda/activation.cuh"
#include "src/kernels/cuda/attention_item.cuh"
#include "src/kernels/cuda/mma.cuh"

namespace tercel::kernels::cuda {

constexpr int kQueries = 64;  // 16 a warp
constexpr int kAttentionThreads = 128;

// Which keys of a tile the queries see: all; those before a place, the sequence's end; those that a
// mask of keys has; or each query others, or with something added to their scores.
enum class Seen { all, leading, keys, some };

// A thread holds rows 16 · warp + lane / 4 and 8 further, elements 2 and 3 of each 4.
template <class T, int Size, int Keys>
struct AttentionRows {
  float out[Size / 8][4] = {};
  float scores[Keys / 8][4];
  float most[2] = {-INFINITY, -INFINITY};  // as exponents of 2
  float sum[2] = {};

  static __device__ __forceinline__ int lane() { return threadIdx.x % 32; }

  // Scores of keys that are not seen become -inf. Returns by what scores are multiplied to be
  // exponents of 2. Simple: never Seen::some.
  template <bool Simple>
  __device__ __forceinline__ float mask(const AttentionArgs& args, const AttentionItem<T>& item,
                                        int64_t key, Seen seen) {
    if (Simple || seen != Seen::some) {
      if (seen == Seen::all) return args.scale * kLog2E;
      const int first = lane() % 4 * 2;
      const int left = static_cast<int>(min(item.kv_length - key, int64_t{Keys})) - first;
      const uint8_t* keys = item.keys_seen(args) + (key + first) * args.bool_key;
#pragma unroll
      for (int j = 0; j < Keys / 8; ++j)
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const int at = 8 * j + i;
          const bool here = at < left && (seen == Seen::leading || keys[at * args.bool_key] != 0);
          if (!here) scores[j][i] = scores[j][2 + i] = -INFINITY;
        }
      return args.scale * kLog2E;
    }
    // What is lower than any finite number after the scaling stays finite: where a mask hides all
    // keys of a row, it weighs them alike.
    const int64_t query = item.first + threadIdx.x / 32 * 16 + lane() / 4;
#pragma unroll
    for (int j = 0; j < Keys / 8; ++j)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float score =
            masked_score(args, item, query + i / 2 * 8, key + 8 * j + lane() % 4 * 2 + i % 2,
                         args.scale * scores[j][i]);
        scores[j][i] = score == -INFINITY ? score : fmaxf(score * kLog2E, -FLT_MAX);
      }
    return 1.0F;
  }

  // Scores become weights; what was summed before is scaled to the new maximum. `factor`: mask()'s.
  __device__ __forceinline__ void soften(float factor) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float next = -INFINITY;
#pragma unroll
      for (int j = 0; j < Keys / 8; ++j)
        next = fmaxf(next, fmaxf(scores[j][2 * half], scores[j][2 * half + 1]));
      next = fmaxf(next, __shfl_xor_sync(~0U, next, 1));
      next = fmaxf(next, __shfl_xor_sync(~0U, next, 2));
      next = fmaxf(most[half], next * factor);
      const float base = exponent_base(next);
      const float shrink = exp2_fast(most[half] - base);
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
          scores[j][i] = exp2_fast(fmaf(scores[j][i], factor, -base));
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

  // `staging`: shared memory for the block's rows, which no thread needs any more, where Tiles say;
  // rows leave it in whole chunks of 16 bytes.
  template <class Tiles>
  __device__ __forceinline__ void store(const AttentionArgs& args, const AttentionItem<T>& item,
                                        bool aligned, uint8_t* staging) {
    const auto size = static_cast<int>(args.v_head_size);
    const int first = threadIdx.x / 32 * 16;
    const auto left = static_cast<int>(min(item.q_length - item.first, int64_t{kQueries}));
    T* const rows = item.out + item.first * args.out_strides.row;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float all = sum[half];
      all += __shfl_xor_sync(~0U, all, 1);
      all += __shfl_xor_sync(~0U, all, 2);
      const float inverse = all == 0.0F ? 0.0F : 1.0F / all;
      const int row = first + lane() / 4 + 8 * half;
#pragma unroll
      for (int d = 0; d < Size / 8; ++d) {
        const int column = 8 * d + lane() % 4 * 2;
        const float low = out[d][2 * half] * inverse, high = out[d][2 * half + 1] * inverse;
        if (aligned) {
          *reinterpret_cast<uint32_t*>(staging + Tiles::place(row, d) + lane() % 4 * 4) =
              pair_of<T>(low, high);
        } else if (row < left) {
          T* const to = rows + row * args.out_strides.row;
          if (column < size) to[column] = narrow<T>(low);
          if (column + 1 < size) to[column + 1] = narrow<T>(high);
        }
      }
    }
    if (!aligned) return;
    __syncwarp();
    constexpr int kChunks = Size / 8;
#pragma unroll
    for (int i = lane(); i < 16 * kChunks; i += 32) {
      const int row = first + i / kChunks, chunk = i % kChunks;
      if (row < left && chunk * 8 < size)
        *reinterpret_cast<Bytes16*>(rows + row * args.out_strides.row + chunk * 8) =
            *reinterpret_cast<const Bytes16*>(staging + Tiles::place(row, chunk));
    }
  }
};

}  // namespace tercel::kernels::cuda
