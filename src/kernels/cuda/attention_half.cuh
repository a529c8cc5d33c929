#pragma once
// Attention of f16 and bf16 by tensor cores and online softmax (Milakov and Gimelshein, 2018; Dao
// et al., 2022): a block takes 64 queries of a head, 16 a warp, and runs over the keys in tiles,
// the next tile of K and V on its way while one is worked on.

#include "src/kernels/cuda/attention_item.cuh"
#include "src/kernels/cuda/launch.cuh"
#include "src/kernels/cuda/mma.cuh"

namespace tercel::kernels::cuda {

constexpr int kQueries = 64;
constexpr int kAttentionThreads = 128;

// Within 2 ulp, subnormal results are zero: weights are rounded to T anyway.
__device__ __forceinline__ float exp_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x * kLog2E));
  return y;
}

// Size: of a head in shared memory, a multiple of 32; shorter ones are filled up with zeros.
template <class T, int Size>
struct AttentionTiles {
  static constexpr int kKeys = Size > 128 ? 32 : 64;
  static constexpr int kChunks = Size / 8;
  // An odd number of 16-byte chunks a row: the rows of an 8x8 matrix lie in different banks.
  static constexpr int kRowBytes = (kChunks + 1) * 16;
  static constexpr int kQueryBytes = kQueries * kRowBytes;
  static constexpr int kKeyBytes = kKeys * kRowBytes;
  static constexpr int kSharedBytes = kQueryBytes + 4 * kKeyBytes;
  static constexpr bool kQueriesInRegisters = Size <= 128;

  static __device__ __forceinline__ uint32_t place(int row, int chunk) {
    return static_cast<uint32_t>(row * kRowBytes + chunk * 16);
  }

  // Rows [first, first + Rows) of a head into shared memory, zeros beyond `rows` and `size`.
  template <int Rows>
  static __device__ __forceinline__ void copy(uint8_t* to, const T* from, int64_t stride,
                                              int64_t first, int64_t rows, int size, bool aligned) {
    const uint32_t address = shared_address(to);
    for (int item = threadIdx.x; item < Rows * kChunks; item += kAttentionThreads) {
      const int row = item / kChunks, chunk = item % kChunks;
      const bool inside = first + row < rows && chunk * 8 < size;
      const T* source = inside ? from + (first + row) * stride + chunk * 8 : from;
      if (aligned) {
        copy_async(address + place(row, chunk), source, inside);
        continue;
      }
      auto* target = reinterpret_cast<T*>(to + place(row, chunk));
      for (int j = 0; j < 8; ++j)
        target[j] = inside && chunk * 8 + j < size ? source[j] : narrow<T>(0.0F);
    }
  }
};

template <class T, int Size>
struct AttentionWarp {
  using Tiles = AttentionTiles<T, Size>;
  static constexpr int kKeys = Tiles::kKeys;
  static constexpr int kSteps = Size / 16;

  float out[Size / 8][4] = {};
  float scores[kKeys / 8][4];
  float most[2] = {-INFINITY, -INFINITY};  // of the rows lane / 4 and lane / 4 + 8
  float sum[2] = {};
  uint32_t queries[Tiles::kQueriesInRegisters ? kSteps : 1][4];

  static __device__ __forceinline__ int lane() { return threadIdx.x % 32; }
  static __device__ __forceinline__ uint32_t query_place(int step) {
    const int warp = threadIdx.x / 32;
    return Tiles::place(16 * warp + lane() % 16, 2 * step + lane() / 16);
  }

  __device__ __forceinline__ void load_queries(uint32_t q) {
    if constexpr (Tiles::kQueriesInRegisters) {
#pragma unroll
      for (int step = 0; step < kSteps; ++step) load_matrices(queries[step], q + query_place(step));
    }
  }

  __device__ __forceinline__ void multiply_keys(uint32_t q, uint32_t k) {
#pragma unroll
    for (auto& score : scores)
#pragma unroll
      for (float& value : score) value = 0.0F;
    // One step's matrices are on their way while those of the step before are multiplied.
    uint32_t keys[2][kKeys / 16][4], loaded[2][4];
    const auto load = [&](int step) {
      if constexpr (!Tiles::kQueriesInRegisters)
        load_matrices(loaded[step % 2], q + query_place(step));
#pragma unroll
      for (int j = 0; j < kKeys / 16; ++j)
        load_matrices(keys[step % 2][j], k + Tiles::place(16 * j + lane() / 16 * 8 + lane() % 8,
                                                          2 * step + lane() / 8 % 2));
    };
    load(0);
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
      if (step + 1 < kSteps) load(step + 1);
      const auto& query =
          Tiles::kQueriesInRegisters ? queries[step % (Size / 16)] : loaded[step % 2];
#pragma unroll
      for (int j = 0; j < kKeys / 16; ++j) {
        const auto& key = keys[step % 2][j];
        multiply_add<T>(scores[2 * j], query, key[0], key[1]);
        multiply_add<T>(scores[2 * j + 1], query, key[2], key[3]);
      }
    }
  }

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
    for (int j = 0; j < kKeys / 8; ++j)
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
      for (int j = 0; j < kKeys / 8; ++j)
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
      for (int j = 0; j < kKeys / 8; ++j)
#pragma unroll
        for (int i = 2 * half; i < 2 * half + 2; ++i) {
          scores[j][i] = exp_fast(scores[j][i] - base);
          sum[half] += scores[j][i];
        }
    }
  }

  __device__ __forceinline__ void multiply_values(uint32_t v) {
    // As above: some matrices are on their way while others are multiplied.
    constexpr int kAhead = Size == 96 ? 3 : Size == 32 ? 2 : 4;
    constexpr int kParts = Size / 16 / kAhead, kAll = kKeys / 16 * kParts;
    static_assert(kAhead * kParts == Size / 16);
    uint32_t values[2][kAhead][4];
    const auto load = [&](int part) {
#pragma unroll
      for (int d = 0; d < kAhead; ++d)
        load_transposed(values[part % 2][d],
                        v + Tiles::place(16 * (part / kParts) + lane() % 16,
                                         2 * (part % kParts * kAhead + d) + lane() / 16));
    };
    load(0);
#pragma unroll
    for (int part = 0; part < kAll; ++part) {
      if (part + 1 < kAll) load(part + 1);
      const int j = part / kParts;
      const uint32_t weights[4] = {pair_of<T>(scores[2 * j][0], scores[2 * j][1]),
                                   pair_of<T>(scores[2 * j][2], scores[2 * j][3]),
                                   pair_of<T>(scores[2 * j + 1][0], scores[2 * j + 1][1]),
                                   pair_of<T>(scores[2 * j + 1][2], scores[2 * j + 1][3])};
#pragma unroll
      for (int d = 0; d < kAhead; ++d) {
        const auto& value = values[part % 2][d];
        const int at = 2 * (part % kParts * kAhead + d);
        multiply_add<T>(out[at], weights, value[0], value[1]);
        multiply_add<T>(out[at + 1], weights, value[2], value[3]);
      }
    }
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

template <class T, int Size>
__global__ void __launch_bounds__(kAttentionThreads)
    attention_kernel(AttentionArgs args, bool aligned) {
  using Tiles = AttentionTiles<T, Size>;
  constexpr int kKeys = Tiles::kKeys;
  extern __shared__ __align__(128) uint8_t shared[];
  wait_for_earlier();
  let_next_start();
  const AttentionItem<T> item(args, kQueries, blockIdx.x);
  if (item.first >= item.q_length) return;
  int64_t begin, end;
  item.range(args, kQueries, kKeys, begin, end);

  uint8_t* q = shared;
  const auto k = [&](int64_t tile) { return q + Tiles::kQueryBytes + tile % 2 * Tiles::kKeyBytes; };
  const auto v = [&](int64_t tile) { return k(tile) + 2 * Tiles::kKeyBytes; };
  const int64_t tiles = end > begin ? (end - begin + kKeys - 1) / kKeys : 0;
  const auto copy_keys = [&](int64_t tile) {
    if (tile >= tiles) return;
    const int64_t key = begin + tile * kKeys;
    Tiles::template copy<kKeys>(k(tile), item.k, args.k_strides.row, key, item.kv_length,
                                static_cast<int>(args.head_size), aligned);
    Tiles::template copy<kKeys>(v(tile), item.v, args.v_strides.row, key, item.kv_length,
                                static_cast<int>(args.v_head_size), aligned);
  };
  Tiles::template copy<kQueries>(q, item.q, args.q_strides.row, item.first, item.q_length,
                                 static_cast<int>(args.head_size), aligned);
  copy_keys(0);
  commit_copies();

  AttentionWarp<T, Size> warp;
  const bool bare = args.softcap <= 0.0F && args.mask == nullptr && args.left_window < 0 &&
                    args.right_window < 0 && (args.mask_bool == nullptr || args.bool_query == 0);
  for (int64_t tile = 0; tile < tiles; ++tile) {
    wait_for_copies<0>();
    __syncthreads();
    if (tile == 0) warp.load_queries(shared_address(q));
    copy_keys(tile + 1);
    commit_copies();
    const int64_t key = begin + tile * kKeys;
    const bool whole = bare && key + kKeys <= item.kv_length;
    const bool plain = whole && item.template sees_all<kKeys>(args, key);
    warp.multiply_keys(shared_address(q), shared_address(k(tile)));
    warp.mask(args, item, key, plain);
    warp.soften();
    warp.multiply_values(shared_address(v(tile)));
  }
  wait_for_copies<0>();
  warp.store(args, item, aligned);
}

template <class T, int Size>
void launch_attention(const AttentionArgs& args, bool aligned, cudaStream_t stream) {
  constexpr int kBytes = AttentionTiles<T, Size>::kSharedBytes;
  const auto kernel = attention_kernel<T, Size>;
  check_cuda(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes),
             "attention");
  launch_early("attention", kernel, static_cast<unsigned>(attention_blocks(args, kQueries)),
               kAttentionThreads, kBytes, stream, args, aligned);
}

template <class T>
void attention_half(const AttentionArgs& args, cudaStream_t stream) {
  const auto fits = [&](const void* pointer, const HeadStrides& strides, int64_t size) {
    return packs<T, 8>(pointer, strides.row) && strides.head % 8 == 0 && strides.batch % 8 == 0 &&
           size % 8 == 0;
  };
  const bool aligned = fits(args.q, args.q_strides, args.head_size) &&
                       fits(args.k, args.k_strides, args.head_size) &&
                       fits(args.v, args.v_strides, args.v_head_size) &&
                       fits(args.out, args.out_strides, args.v_head_size);
  const int64_t size = std::max(args.head_size, args.v_head_size);
  if (size <= 32) return launch_attention<T, 32>(args, aligned, stream);
  if (size <= 64) return launch_attention<T, 64>(args, aligned, stream);
  if (size <= 96) return launch_attention<T, 96>(args, aligned, stream);
  if (size <= 128) return launch_attention<T, 128>(args, aligned, stream);
  launch_attention<T, 256>(args, aligned, stream);
}

}  // namespace tercel::kernels::cuda
