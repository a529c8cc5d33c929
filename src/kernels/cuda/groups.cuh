#pragma once
// Rows shared out among groups of threads: a warp, or a whole block. The group's size depends on
// the row's length alone, so that the order of a sum does too.

#include "src/kernels/cuda/mma.cuh"

namespace tercel::kernels::cuda {

constexpr int kWarp = 32;
constexpr int kMaxPacks = 4;            // that a thread keeps in registers
constexpr int kResidentThreads = 640;   // of a multiprocessor
constexpr int kResidentRegisters = 96;  // of a thread, at most, for so many to be there

// A block of `size` x `rows` threads: `rows` groups, more than one only when a group is a warp.
struct Groups {
  int size = kWarp;
  int rows = 1;
  int packs = 1;  // for each thread, at most kMaxPacks
  unsigned blocks = 1;

  dim3 block() const { return {static_cast<unsigned>(size), static_cast<unsigned>(rows)}; }
};

// For rows of `row_packs` packs, of which a thread has `most` if a block is large enough for it;
// packs is 0 when a row does not fit the registers of a block.
inline Groups groups_for(int64_t rows, int64_t row_packs, int64_t most = kMaxPacks) {
  Groups groups;
  const int64_t threads = (row_packs + most - 1) / most;
  groups.size = static_cast<int>(std::min<int64_t>((threads + kWarp - 1) / kWarp * kWarp, 1024));
  if (groups.size == 0) groups.size = kWarp;
  groups.packs = static_cast<int>((row_packs + groups.size - 1) / groups.size);
  if (groups.packs > kMaxPacks) groups.packs = 0;
  if (groups.size == kWarp && rows > 2 * multiprocessors()) groups.rows = 4;
  const int64_t blocks = (rows + groups.rows - 1) / groups.rows;
  // As many threads as are there at once: each block then goes on to other rows.
  const int64_t resident = std::max(1, kResidentThreads / (groups.size * groups.rows));
  groups.blocks =
      static_cast<unsigned>(std::clamp<int64_t>(blocks, 1, multiprocessors() * resident));
  return groups;
}

// N elements as they lie in memory: two of 16 bits stay in one register.
template <class T, int N>
struct Held {
  using Word = std::conditional_t<sizeof(T) * N % 4 == 0, uint32_t, T>;
  static constexpr int kWords = sizeof(T) * N / sizeof(Word);
  Word words[kWords];

  __device__ __forceinline__ void read(const void* from, int64_t at) {
    using Whole = Pack<Word, kWords>;
    const auto whole = *reinterpret_cast<const Whole*>(static_cast<const T*>(from) + at);
#pragma unroll
    for (int w = 0; w < kWords; ++w) words[w] = whole.at[w];
  }
  __device__ __forceinline__ void fill(float value) {
#pragma unroll
    for (Word& word : words) {
      if constexpr (std::is_same_v<Word, T>)
        word = narrow<T>(value);
      else if constexpr (sizeof(T) == 4)
        word = __float_as_uint(value);
      else
        word = pair_of<T>(value, value);
    }
  }
  __device__ __forceinline__ float at(int j) const {
    if constexpr (std::is_same_v<Word, T>) {
      return widen(words[j]);
    } else if constexpr (sizeof(T) == 4) {
      return __uint_as_float(words[j]);
    } else {
      const float2 pair = floats_of<T>(words[j / 2]);
      return j % 2 == 0 ? pair.x : pair.y;
    }
  }
};

// Which columns of a row a thread of its group has: N from each of `at` on, if they are inside.
template <int N, int Packs>
struct GroupColumns {
  int at[Packs];
  bool inside[Packs];

  __device__ __forceinline__ explicit GroupColumns(int64_t row_columns) {
#pragma unroll
    for (int p = 0; p < Packs; ++p) {
      at[p] = static_cast<int>((p * blockDim.x + threadIdx.x) * N);
      inside[p] = at[p] < row_columns;
    }
  }
};

struct Sum {
  template <class C>
  static __device__ __forceinline__ C of(C a, C b) {
    return a + b;
  }
};
struct Max {
  static __device__ __forceinline__ float of(float a, float b) { return isnan(a) || a > b ? a : b; }
};

template <class Op, class C>
__device__ __forceinline__ C warp_reduce(C value) {
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2)
    value = Op::of(value, __shfl_xor_sync(~0U, value, step));
  return value;
}

// The same value in every thread of the group (blockDim.x threads); all threads of the block call
// it.
template <class Op, class C>
__device__ __forceinline__ C group_reduce(C value) {
  value = warp_reduce<Op>(value);
  if (blockDim.x == kWarp) return value;
  __shared__ C parts[kWarp];
  __syncthreads();  // the parts of the call before have been read
  if (threadIdx.x % kWarp == 0) parts[threadIdx.x / kWarp] = value;
  __syncthreads();
  value = parts[0];
  for (int w = 1; w < static_cast<int>(blockDim.x) / kWarp; ++w) value = Op::of(value, parts[w]);
  return value;
}

}  // namespace tercel::kernels::cuda
