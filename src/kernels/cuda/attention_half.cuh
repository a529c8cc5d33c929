#pragma once
// Attention of f16 and bf16: a block takes 64 queries of a head and runs over the keys in tiles,
// the next tile of K and V on its way while one is worked on.

#include "src/kernels/cuda/attention_rows.cuh"
#include "src/kernels/cuda/attention_wgmma.cuh"
#include "src/kernels/cuda/launch.cuh"

namespace tercel::kernels::cuda {

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
};

// Rows [first, first + Rows) of a head into shared memory, zeros beyond `rows` and `size`.
template <class T, class Tiles, int Rows>
__device__ __forceinline__ void copy_rows(uint8_t* to, const T* from, int64_t stride, int64_t first,
                                          int64_t rows, int size, bool aligned) {
  constexpr int kItems = Rows * Tiles::kChunks;
  static_assert(kItems % kAttentionThreads == 0);
  const uint32_t address = shared_address(to);
  from += first * stride;
  const auto left = static_cast<int>(min(rows - first, int64_t{Rows}));
  if (aligned) {
    constexpr bool kWhole = kAttentionThreads % Tiles::kChunks == 0;  // rows at once
    constexpr int kTogether = kAttentionThreads / Tiles::kChunks;
    const int own_row = threadIdx.x / Tiles::kChunks, own_chunk = threadIdx.x % Tiles::kChunks;
    const T* own = from + own_row * stride + own_chunk * 8;
#pragma unroll
    for (int i = 0; i < kItems / kAttentionThreads; ++i) {
      int row = own_row + i * kTogether, chunk = own_chunk;
      if constexpr (!kWhole) {
        const int item = i * kAttentionThreads + threadIdx.x;
        row = item / Tiles::kChunks;
        chunk = item % Tiles::kChunks;
        own = from + row * stride + chunk * 8;
      }
      const bool inside = row < left && chunk * 8 < size;
      copy_async(address + Tiles::place(row, chunk), inside ? own : from, inside);
      own += kTogether * stride;
    }
    return;
  }
#pragma unroll 1
  for (int item = threadIdx.x; item < kItems; item += kAttentionThreads) {
    const int row = item / Tiles::kChunks, chunk = item % Tiles::kChunks;
    auto* target = reinterpret_cast<T*>(to + Tiles::place(row, chunk));
    for (int j = 0; j < 8; ++j)
      target[j] =
          row < left && chunk * 8 + j < size ? from[row * stride + chunk * 8 + j] : narrow<T>(0.0F);
  }
}

// Products by warps (mma.sync), compute capability 8.0 and newer.
template <class T, int Size>
struct AttentionWarp : AttentionRows<T, Size, AttentionTiles<T, Size>::kKeys> {
  using Tiles = AttentionTiles<T, Size>;
  using Rows = AttentionRows<T, Size, Tiles::kKeys>;
  using Rows::lane, Rows::out, Rows::scores;
  static constexpr int kKeys = Tiles::kKeys;
  static constexpr int kSteps = Size / 16;
  static constexpr int kBlocks = 1;  // of a multiprocessor, at least

  uint32_t queries[Tiles::kQueriesInRegisters ? kSteps : 1][4];

  // Before the barrier behind which the others' copies are read.
  static __device__ __forceinline__ void publish() {}

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
      uint32_t weights[4];
      Rows::weights_of(j, weights);
#pragma unroll
      for (int d = 0; d < kAhead; ++d) {
        const auto& value = values[part % 2][d];
        const int at = 2 * (part % kParts * kAhead + d);
        multiply_add<T>(out[at], weights, value[0], value[1]);
        multiply_add<T>(out[at + 1], weights, value[2], value[3]);
      }
    }
  }
};

// Simple: `aligned`, and all queries of a sequence see the same of its keys. What others need is
// much code, and code takes time to come.
template <class T, class Unit, bool Simple>
__global__ void __launch_bounds__(kAttentionThreads, Unit::kBlocks)
    attention_kernel(AttentionArgs args, bool some_aligned) {
  using Tiles = typename Unit::Tiles;
  constexpr int kKeys = Tiles::kKeys;
  extern __shared__ __align__(1024) uint8_t shared[];
  wait_for_earlier();
  let_next_start();
  const bool aligned = Simple || some_aligned;
  const AttentionItem<T> item(args, kQueries);
  if (item.first >= item.q_length) return;
  int64_t begin = 0, end = item.kv_length;
  if constexpr (!Simple) item.range(args, kQueries, kKeys, begin, end);

  uint8_t* q = shared;
  const auto k = [&](int64_t tile) { return q + Tiles::kQueryBytes + tile % 2 * Tiles::kKeyBytes; };
  const auto v = [&](int64_t tile) { return k(tile) + 2 * Tiles::kKeyBytes; };
  const int64_t tiles = end > begin ? (end - begin + kKeys - 1) / kKeys : 0;
  const auto copy_keys = [&](int64_t tile) {
    if (tile >= tiles) return;
    const int64_t key = begin + tile * kKeys;
    copy_rows<T, Tiles, kKeys>(k(tile), item.k, args.k_strides.row, key, item.kv_length,
                               static_cast<int>(args.head_size), aligned);
    copy_rows<T, Tiles, kKeys>(v(tile), item.v, args.v_strides.row, key, item.kv_length,
                               static_cast<int>(args.v_head_size), aligned);
  };
  copy_rows<T, Tiles, kQueries>(q, item.q, args.q_strides.row, item.first, item.q_length,
                                static_cast<int>(args.head_size), aligned);
  copy_keys(0);
  commit_copies();
  copy_keys(1);
  commit_copies();

  Unit unit;
  const bool bare = Simple || sees_alike(args);
  const bool masked = args.mask_bool != nullptr;
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const int64_t key = begin + tile * kKeys;
    Seen seen = Seen::some;
    if (bare && key + kKeys <= item.kv_length &&
        !(masked && !item.template sees_all<kKeys>(args, key)))
      seen = Seen::all;
    else if (bare)
      seen = masked ? Seen::keys : Seen::leading;
    wait_for_copies<1>();
    Unit::publish();
    __syncthreads();
    if (tile == 0) unit.load_queries(shared_address(q));
    unit.multiply_keys(shared_address(q), shared_address(k(tile)));
    unit.soften(unit.template mask<Simple>(args, item, key, seen));
    unit.multiply_values(shared_address(v(tile)));
    __syncthreads();  // all have read the tile that the next copy replaces
    copy_keys(tile + 2);
    commit_copies();
  }
  if (tiles == 0) {  // the queries are still on their way
    wait_for_copies<0>();
    __syncthreads();
  }
  unit.template store<Tiles>(args, item, aligned, q);
}

template <class T, class Unit>
void launch_attention(const AttentionArgs& args, bool aligned, cudaStream_t stream) {
  constexpr int kBytes = Unit::Tiles::kSharedBytes;
  const bool simple = aligned && sees_alike(args);
  const auto kernel = simple ? attention_kernel<T, Unit, true> : attention_kernel<T, Unit, false>;
  check_cuda(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes),
             "attention");
  launch_early("attention", kernel, attention_blocks(args, kQueries), kAttentionThreads, kBytes,
               stream, args, aligned);
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
  const bool hopper = has_hopper_kernels();
  if (size <= 32) return launch_attention<T, AttentionWarp<T, 32>>(args, aligned, stream);
  if (size <= 64 && hopper)
    return launch_attention<T, AttentionGroup<T, 64>>(args, aligned, stream);
  if (size <= 64) return launch_attention<T, AttentionWarp<T, 64>>(args, aligned, stream);
  if (size <= 96) return launch_attention<T, AttentionWarp<T, 96>>(args, aligned, stream);
  if (size <= 128 && hopper)
    return launch_attention<T, AttentionGroup<T, 128>>(args, aligned, stream);
  if (size <= 128) return launch_attention<T, AttentionWarp<T, 128>>(args, aligned, stream);
  launch_attention<T, AttentionWarp<T, 256>>(args, aligned, stream);
}

}  // namespace tercel::kernels::cuda
