// What turns masks into places: the elements that are not zero, and the rows of real tokens.

#include "src/kernels/cuda/element.cuh"
#include "src/kernels/cuda/indexing.h"
#include "src/kernels/cuda/launch.cuh"

namespace tercel::kernels::cuda {
namespace {

constexpr int kWarp = 32;
constexpr int kBlock = 1024;

// The sum over the threads before this one, and (in `total`) over all; every thread calls it.
__device__ int64_t sum_before(int64_t value, int64_t& total) {
  __shared__ int64_t sums[kBlock / kWarp];
  const int lane = threadIdx.x % kWarp;
  const int warp = threadIdx.x / kWarp;
  int64_t sum = value;
  for (int step = 1; step < kWarp; step *= 2) {
    const int64_t before = __shfl_up_sync(~0U, sum, step);
    if (lane >= step) sum += before;
  }
  __syncthreads();  // the sums of the call before have been read
  if (lane == kWarp - 1) sums[warp] = sum;
  __syncthreads();
  int64_t before = 0;
  total = 0;
  for (int w = 0; w < static_cast<int>(blockDim.x) / kWarp; ++w) {
    if (w < warp) before += sums[w];
    total += sums[w];
  }
  return before + sum - value;
}

// Numbers beyond bool and u8 are non-zero when any bit but the sign of a float is set.
template <class T>
__device__ bool is_set(T x) {
  return widen(x) != 0;
}

template <class T>
__global__ void count_kernel(const T* x, int64_t count, int64_t* sums) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  const int set = __syncthreads_count(i < count && is_set(x[i]));
  if (threadIdx.x == 0) sums[blockIdx.x] = set;
}

// One block: sums become the sums before them.
__global__ void scan_kernel(int64_t* sums, int64_t count, int64_t* total) {
  int64_t carried = 0;
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t i = begin + threadIdx.x;
    int64_t all;
    const int64_t before = sum_before(i < count ? sums[i] : 0, all);
    if (i < count) sums[i] = carried + before;
    carried += all;
  }
  if (threadIdx.x == 0) *total = carried;
}

template <class T>
__global__ void nonzero_kernel(NonZeroArgs args, int64_t count, const int64_t* sums) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  const bool set = i < count && is_set(static_cast<const T*>(args.x)[i]);
  int64_t all;
  const int64_t at = sums[blockIdx.x] + sum_before(set ? 1 : 0, all);
  if (!set || at >= args.capacity) return;
  int64_t rest = i;
  for (int d = args.dims.rank - 1; d >= 0; --d) {
    const int64_t up = rest / args.dims.at[d];
    args.out[d * args.capacity + at] = rest - up * args.dims.at[d];
    rest = up;
  }
}

// Of each sequence, a block: valid, the number of real tokens, and whether they all come first.
template <class T>
__global__ void read_mask_kernel(PackedRowsArgs args, int64_t* counts, int* odd) {
  const int64_t b = blockIdx.x;
  const auto* mask = static_cast<const T*>(args.mask) + b * args.length;
  uint8_t* valid = args.valid + b * args.length;
  int64_t count = 0;
  bool hole = false;
  for (int64_t begin = 0; begin < args.length; begin += blockDim.x) {
    const int64_t i = begin + threadIdx.x;
    const bool set = i < args.length && is_set(mask[i]);
    if (i < args.length) valid[i] = set;
    hole = hole || (set && i > 0 && !is_set(mask[i - 1]));
    count += __syncthreads_count(set);
  }
  const bool any_hole = __syncthreads_or(hole) != 0;
  if (threadIdx.x != 0) return;
  counts[b] = count;
  if (any_hole || count == 0) *odd = 1;
}

// One block: the offsets, by the counts, or by the length when some sequence is odd.
__global__ void offsets_kernel(PackedRowsArgs args, const int64_t* counts, const int* odd) {
  int64_t carried = 0;
  for (int64_t begin = 0; begin < args.batch; begin += kBlock) {
    const int64_t b = begin + threadIdx.x;
    int64_t all;
    const int64_t mine = b < args.batch ? (*odd != 0 ? args.length : counts[b]) : 0;
    const int64_t before = carried + sum_before(mine, all);
    if (b < args.batch) {
      args.offsets[b] = before;
      args.first[b] = before;
    }
    carried += all;
  }
  if (threadIdx.x != 0) return;
  args.offsets[args.batch] = carried;
  *args.tokens = carried;
}

__global__ void places_kernel(PackedRowsArgs args) {
  const int64_t b = blockIdx.x;
  const int64_t begin = args.offsets[b];
  const int64_t count = args.offsets[b + 1] - begin;
  for (int64_t i = threadIdx.x; i < count; i += blockDim.x) {
    args.rows[begin + i] = b * args.length + i;
    args.positions[begin + i] = i;
  }
}

// A warp a place, or a thread where that is an element: its row is found by bisection.
template <class T>
__global__ void unpacked_kernel(UnpackedRowsArgs args, int lanes) {
  wait_for_earlier();
  let_next_start();
  const int lane = threadIdx.x % lanes;
  for (int64_t place = global_thread() / lanes; place < args.places;
       place += all_threads() / lanes) {
    // No row is behind its place, and all are at theirs where nothing is padded. The last may be
    // repeated: what belongs to it are the first's values.
    int64_t low = 0, high = min(args.tokens, place + 1);
    const bool there = place < high && args.rows[place] == place;
    if (there && (place == 0 || args.rows[place - 1] < place)) low = high = place;
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (args.rows[middle] < place)
        low = middle + 1;
      else
        high = middle;
    }
    const bool found = low < args.tokens && args.rows[low] == place && args.valid[place] != 0;
    const auto* from = static_cast<const T*>(args.x) + low * args.row;
    auto* to = static_cast<T*>(args.out) + place * args.row;
    for (int64_t j = lane; j < args.row; j += lanes) to[j] = found ? from[j] : T{};
  }
}

int64_t nonzero_blocks(const NonZeroArgs& args) {
  return (count_of(args.dims) + kBlock - 1) / kBlock;
}

}  // namespace

std::size_t nonzero_scratch(const NonZeroArgs& args) {
  return static_cast<std::size_t>(nonzero_blocks(args) + 1) * sizeof(int64_t);
}

void nonzero(const NonZeroArgs& args, cudaStream_t stream) {
  const int64_t count = count_of(args.dims);
  const int64_t blocks = nonzero_blocks(args);
  auto* sums = static_cast<int64_t*>(args.scratch);
  with_numeric_type("nonzero", args.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto grid = static_cast<unsigned>(blocks);
    if (blocks > 0)
      count_kernel<T><<<grid, kBlock, 0, stream>>>(static_cast<const T*>(args.x), count, sums);
    scan_kernel<<<1, kBlock, 0, stream>>>(sums, blocks, args.found);
    if (blocks > 0) nonzero_kernel<T><<<grid, kBlock, 0, stream>>>(args, count, sums);
  });
  check_launch("nonzero");
}

std::size_t packed_rows_scratch(const PackedRowsArgs& args) {
  return static_cast<std::size_t>(args.batch + 1) * sizeof(int64_t);
}

void packed_rows(const PackedRowsArgs& args, cudaStream_t stream) {
  auto* counts = static_cast<int64_t*>(args.scratch);
  auto* odd = reinterpret_cast<int*>(counts + args.batch);
  check_cuda(cudaMemsetAsync(odd, 0, sizeof(int), stream), "cudaMemsetAsync");
  const auto batch = static_cast<unsigned>(args.batch);
  if (args.batch > 0) {
    with_numeric_type("packed_rows", args.type, [&](auto tag) {
      using T = typename decltype(tag)::type;
      read_mask_kernel<T><<<batch, kThreads, 0, stream>>>(args, counts, odd);
    });
  }
  offsets_kernel<<<1, kBlock, 0, stream>>>(args, counts, odd);
  if (args.batch > 0) places_kernel<<<batch, kThreads, 0, stream>>>(args);
  check_launch("packed_rows");
}

void unpacked_rows(const UnpackedRowsArgs& given, cudaStream_t stream) {
  UnpackedRowsArgs args = given;
  int bytes = 16;
  while (bytes > args.element_bytes && (args.row * args.element_bytes % bytes != 0 ||
                                        reinterpret_cast<uintptr_t>(args.x) % bytes != 0 ||
                                        reinterpret_cast<uintptr_t>(args.out) % bytes != 0))
    bytes /= 2;
  args.row /= bytes / args.element_bytes;
  if (args.places == 0 || args.row == 0) return;
  const int lanes = args.row == 1 ? 1 : kWarp;
  with_element("unpacked_rows", bytes, [&](auto tag) {
    launch_early("unpacked_rows", unpacked_kernel<typename decltype(tag)::type>,
                 blocks_for(args.places * lanes), kThreads, 0, stream, args, lanes);
  });
}

}  // namespace tercel::kernels::cuda
