#pragma once
// Rows shared out among groups of threads: a warp, or a whole block. The group's size depends on
// the row's length alone, so that the order of a sum does too.

#include "src/kernels/cuda/element.cuh"

namespace tercel::kernels::cuda {

constexpr int kWarp = 32;
constexpr int kMaxPacks = 4;  // that a thread keeps in registers

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
  groups.blocks = static_cast<unsigned>(std::clamp<int64_t>(blocks, 1, int64_t{1} << 30));
  return groups;
}

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
