#include "src/kernels/cuda/activation.cuh"
#include "src/kernels/cuda/gemm_tile.h"
#include "src/kernels/cuda/launch.cuh"
#include "src/kernels/cuda/mma.cuh"

namespace tercel::kernels::cuda {
namespace {

constexpr int kTile = 64;  // rows and columns of C, and the step along K
constexpr int kChunk = 8;  // elements in 16 bytes
constexpr int kRowChunks = kTile / kChunk;
constexpr int kStages = 4;
constexpr int kTileThreads = 128;  // 2 x 2 warps of 32 x 32
constexpr int kTileBytes = kTile * kTile * 2;
constexpr int kSharedBytes = 2 * kStages * kTileBytes;

// Where chunk `chunk` of row `row` of a tile lies: shifted so that eight rows' chunks of one column
// are in different banks.
__device__ __forceinline__ uint32_t tile_offset(int row, int chunk) {
  return static_cast<uint32_t>((row * kRowChunks + (chunk ^ (row % kRowChunks))) * 16);
}

// Copies a tile of 64 rows from `row` on, columns from `column` on, of a matrix [rows, columns].
template <class T>
__device__ __forceinline__ void copy_tile(uint32_t to, const T* from, int64_t stride, int64_t row,
                                          int64_t rows, int64_t column, int64_t columns) {
#pragma unroll
  for (int i = 0; i < kTile * kRowChunks / kTileThreads; ++i) {
    const int item = i * kTileThreads + static_cast<int>(threadIdx.x);
    const int r = item / kRowChunks, chunk = item % kRowChunks;
    const int64_t c = column + chunk * kChunk;
    const bool inside = row + r < rows && c < columns;
    copy_async(to + tile_offset(r, chunk), inside ? from + (row + r) * stride + c : from, inside);
  }
}

template <class T, bool Transposed>
__device__ __forceinline__ void multiply_tiles(uint32_t a, uint32_t b, float (&sums)[2][4][4]) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int row = warp / 2 * 32, column = warp % 2 * 32;
#pragma unroll
  for (int k = 0; k < kTile / 16; ++k) {
    uint32_t left[2][4], right[2][4];
#pragma unroll
    for (int i = 0; i < 2; ++i)
      load_matrices(left[i], a + tile_offset(row + 16 * i + lane % 16, 2 * k + lane / 16));
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      if constexpr (Transposed)
        load_matrices(right[j], b + tile_offset(column + 16 * j + lane / 16 * 8 + lane % 8,
                                                2 * k + lane / 8 % 2));
      else
        load_transposed(
            right[j], b + tile_offset(16 * k + lane % 16, (column + 16 * j) / kChunk + lane / 16));
    }
#pragma unroll
    for (int i = 0; i < 2; ++i)
#pragma unroll
      for (int j = 0; j < 4; ++j)
        multiply_add<T>(sums[i][j], left[i], right[j / 2][j % 2 * 2], right[j / 2][j % 2 * 2 + 1]);
  }
}

// One copy of the activations in the code.
__device__ __noinline__ float activate_call(Activation activation, float x) {
  return activate(activation, x);
}

// Two neighbouring columns of one row.
template <class T>
__device__ __forceinline__ void put(const GemmArgs& args, float* partial, int64_t row,
                                    int64_t column, float low, float high) {
  if (row >= args.m || column >= args.n) return;
  if (partial != nullptr) {
    *reinterpret_cast<float2*>(partial + row * args.n + column) = {low, high};
    return;
  }
  const GemmEpilogue& epilogue = args.epilogue;
  const auto pair = [](const void* from, int64_t at) {
    return floats_of<T>(*reinterpret_cast<const uint32_t*>(static_cast<const T*>(from) + at));
  };
  float2 bias{}, residual{};
  if (epilogue.bias != nullptr) bias = pair(epilogue.bias, column);
  if (epilogue.residual != nullptr)
    residual = pair(epilogue.residual, row * epilogue.residual_row + column);
  low = args.alpha * low + bias.x;
  high = args.alpha * high + bias.y;
  if (epilogue.activation != Activation::none) {
    low = activate_call(epilogue.activation, low);
    high = activate_call(epilogue.activation, high);
  }
  low += residual.x;
  high += residual.y;
  *reinterpret_cast<uint32_t*>(static_cast<T*>(args.c) + row * args.c_row + column) =
      pair_of<T>(low, high);
}

template <class T, bool Transposed>
__global__ void __launch_bounds__(kTileThreads)
    gemm_tile_kernel(GemmArgs args, float* partial_sums, int splits) {
  extern __shared__ __align__(128) uint8_t shared[];
  const int64_t row = static_cast<int64_t>(blockIdx.y) * kTile;
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kTile;
  const int64_t item = splits > 1 ? 0 : blockIdx.z;
  const int64_t steps = (args.k + kTile - 1) / kTile;
  const int64_t first = splits > 1 ? steps * blockIdx.z / splits : 0;
  const int64_t last = splits > 1 ? steps * (blockIdx.z + 1) / splits : steps;
  const T* a = static_cast<const T*>(args.a) + item * args.a_batch;
  const T* b = static_cast<const T*>(args.b) + item * args.b_batch;
  args.c = static_cast<T*>(args.c) + item * args.c_batch;
  if (args.epilogue.residual != nullptr)
    args.epilogue.residual = static_cast<const T*>(args.epilogue.residual) + item * args.c_batch;

  const uint32_t a_tiles = shared_address(shared);
  const uint32_t b_tiles = a_tiles + kStages * kTileBytes;
  const auto copy_a = [&](int64_t step) {
    if (step < last)
      copy_tile(a_tiles + static_cast<uint32_t>((step - first) % kStages) * kTileBytes, a,
                args.a_row, row, args.m, step * kTile, args.k);
  };
  const auto copy_b = [&](int64_t step) {
    const uint32_t to = b_tiles + static_cast<uint32_t>((step - first) % kStages) * kTileBytes;
    if (step >= last) return;
    if constexpr (Transposed)
      copy_tile(to, b, args.b_row, column, args.n, step * kTile, args.k);
    else
      copy_tile(to, b, args.b_row, step * kTile, args.k, column, args.n);
  };

  // Weights may be fetched while earlier kernels still write A.
  if (!args.b_is_weight) wait_for_earlier();
  for (int s = 0; s < kStages - 1; ++s) copy_b(first + s);
  if (args.b_is_weight) wait_for_earlier();
  let_next_start();
  for (int s = 0; s < kStages - 1; ++s) {
    copy_a(first + s);
    commit_copies();  // the first group holds all of B's first tiles
  }

  float sums[2][4][4] = {};
  for (int64_t step = first; step < last; ++step) {
    wait_for_copies<kStages - 2>();
    __syncthreads();
    copy_a(step + kStages - 1);
    copy_b(step + kStages - 1);
    commit_copies();
    const auto stage = static_cast<uint32_t>((step - first) % kStages) * kTileBytes;
    multiply_tiles<T, Transposed>(a_tiles + stage, b_tiles + stage, sums);
  }
  wait_for_copies<0>();

  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  float* partial = splits > 1 ? partial_sums + blockIdx.z * args.m * args.n : partial_sums;
#pragma unroll
  for (int i = 0; i < 2; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j)
#pragma unroll
      for (int half = 0; half < 2; ++half)
        put<T>(args, partial, row + warp / 2 * 32 + 16 * i + 8 * half + lane / 4,
               column + warp % 2 * 32 + 8 * j + lane % 4 * 2, sums[i][j][2 * half],
               sums[i][j][2 * half + 1]);
}

int64_t tiles(int64_t size) { return (size + kTile - 1) / kTile; }

}  // namespace

bool gemm_tile_takes(const GemmArgs& args) {
  if (args.type != Dtype::f16 && args.type != Dtype::bf16) return false;
  const auto aligned = [](const void* pointer, int64_t stride, int64_t batch) {
    return packs<uint16_t, kChunk>(pointer, stride) && batch % kChunk == 0;
  };
  const auto paired = [](const void* pointer, int64_t stride) {
    return packs<uint16_t, 2>(pointer, stride);
  };
  return args.k % kChunk == 0 && args.n % kChunk == 0 &&
         aligned(args.a, args.a_row, args.a_batch) && aligned(args.b, args.b_row, args.b_batch) &&
         paired(args.c, args.c_row) && args.c_batch % 2 == 0 && paired(args.epilogue.bias, 0) &&
         paired(args.epilogue.residual, args.epilogue.residual_row) && tiles(args.m) < 65536 &&
         args.batch < 65536;
}

int gemm_tile_splits(const GemmArgs& args) {
  const int64_t blocks = std::max<int64_t>(tiles(args.m) * tiles(args.n), 1);
  const int64_t most = std::max<int64_t>(tiles(args.k) / 3, 1);  // steps that pay a block's start
  return static_cast<int>(
      std::clamp<int64_t>(multiprocessors() / blocks, 1, std::min<int64_t>(most, 8)));
}

void gemm_tile(const GemmArgs& args, float* partial_sums, int splits, cudaStream_t stream) {
  if (args.m == 0 || args.n == 0 || args.batch == 0) return;
  const auto launch = [&](auto kernel) {
    check_cuda(
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes),
        "gemm_tile");
    const dim3 grid(static_cast<unsigned>(tiles(args.n)), static_cast<unsigned>(tiles(args.m)),
                    static_cast<unsigned>(partial_sums != nullptr ? splits : args.batch));
    launch_early("gemm_tile", kernel, grid, kTileThreads, kSharedBytes, stream, args, partial_sums,
                 splits);
  };
  if (args.type == Dtype::f16)
    args.b_transposed ? launch(gemm_tile_kernel<Half, true>)
                      : launch(gemm_tile_kernel<Half, false>);
  else
    args.b_transposed ? launch(gemm_tile_kernel<Bfloat, true>)
                      : launch(gemm_tile_kernel<Bfloat, false>);
}

}  // namespace tercel::kernels::cuda
