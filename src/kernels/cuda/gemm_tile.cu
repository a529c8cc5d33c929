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
constexpr int kTileThreads = 256;  // 2 x 4 warps of 32 x 16
constexpr int kTileBytes = kTile * kTile * 2;
constexpr int kSharedBytes = 2 * kStages * kTileBytes;

// Where chunk `chunk` of row `row` of a tile lies: shifted so that eight rows' chunks of one column
// are in different banks.
__device__ __forceinline__ uint32_t tile_offset(int row, int chunk) {
  return static_cast<uint32_t>((row * kRowChunks + (chunk ^ (row % kRowChunks))) * 16);
}

// What a thread copies of each tile of a matrix, tile after tile along K: some chunks, one below
// the other. `Down`: K is the tile's rows, else its columns.
template <class T, bool Down>
class TileCopies {
 public:
  __device__ __forceinline__ TileCopies(const T* matrix, int64_t stride, int64_t fixed,
                                        int64_t fixed_size, int64_t k, int64_t k_size)
      : matrix_(matrix), k_left_(k_size - k) {
    const int row = static_cast<int>(threadIdx.x) / kRowChunks;
    const int chunk = static_cast<int>(threadIdx.x) % kRowChunks;
    to_ = tile_offset(row, chunk);  // rows kRowsApart apart are shifted alike
    k_ = Down ? row : chunk * kChunk;
    fixed_left_ = fixed_size - fixed - (Down ? chunk * kChunk : row);
    const int64_t first_row = Down ? k + row : fixed + row;
    const int64_t column = Down ? fixed + chunk * kChunk : k + chunk * kChunk;
    from_ = matrix + first_row * stride + column;
    row_step_ = kRowsApart * stride;
    tile_step_ = Down ? kTile * stride : kTile;
  }

  // The next tile, to `tile` in shared memory.
  __device__ __forceinline__ void copy_next(uint32_t tile) {
#pragma unroll
    for (int i = 0; i < kTile / kRowsApart; ++i) {
      const bool inside = Down ? k_ + i * kRowsApart < k_left_ && fixed_left_ > 0
                               : k_ < k_left_ && i * kRowsApart < fixed_left_;
      copy_async(tile + to_ + static_cast<uint32_t>(i * kRowsApart * kRowChunks * 16),
                 inside ? from_ + i * row_step_ : matrix_, inside);
    }
    from_ += tile_step_;
    k_left_ -= kTile;
  }

 private:
  static constexpr int kRowsApart = kTileThreads / kRowChunks;
  const T* matrix_;
  const T* from_;
  int64_t row_step_, tile_step_, k_left_, fixed_left_;
  int k_;
  uint32_t to_;
};

template <class T, bool Transposed>
__device__ __forceinline__ void multiply_tiles(uint32_t a, uint32_t b, float (&sums)[2][2][4]) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int row = warp / 4 * 32, column = warp % 4 * 16;
  uint32_t left[kTile / 16][2][4], right[kTile / 16][4];
#pragma unroll
  for (int k = 0; k < kTile / 16; ++k) {
#pragma unroll
    for (int i = 0; i < 2; ++i)
      load_matrices(left[k][i], a + tile_offset(row + 16 * i + lane % 16, 2 * k + lane / 16));
    if constexpr (Transposed)
      load_matrices(right[k],
                    b + tile_offset(column + lane / 16 * 8 + lane % 8, 2 * k + lane / 8 % 2));
    else
      load_transposed(right[k], b + tile_offset(16 * k + lane % 16, column / kChunk + lane / 16));
  }
#pragma unroll
  for (int k = 0; k < kTile / 16; ++k)
#pragma unroll
    for (int i = 0; i < 2; ++i)
#pragma unroll
      for (int j = 0; j < 2; ++j)
        multiply_add<T>(sums[i][j], left[k][i], right[k][2 * j], right[k][2 * j + 1]);
}

// One copy of the activations in the code.
__device__ __noinline__ float activate_call(Activation activation, float x) {
  return activation == Activation::gelu ? gelu_fast(x) : activate(activation, x);
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
  const auto steps_here = static_cast<int>(last - first);
  TileCopies<T, false> a_copies(a, args.a_row, row, args.m, first * kTile, args.k);
  TileCopies<T, !Transposed> b_copies(b, args.b_row, column, args.n, first * kTile, args.k);
  const auto stage = [](int step) { return static_cast<uint32_t>(step % kStages) * kTileBytes; };

  // Weights may be fetched while earlier kernels still write A.
  if (!args.b_is_weight) wait_for_earlier();
  for (int s = 0; s < kStages - 1; ++s)
    if (s < steps_here) b_copies.copy_next(b_tiles + stage(s));
  if (args.b_is_weight) wait_for_earlier();
  let_next_start();
  for (int s = 0; s < kStages - 1; ++s) {
    if (s < steps_here) a_copies.copy_next(a_tiles + stage(s));
    commit_copies();  // the first group holds all of B's first tiles
  }

  float sums[2][2][4] = {};
  for (int step = 0; step < steps_here; ++step) {
    wait_for_copies<kStages - 2>();
    __syncthreads();
    if (step + kStages - 1 < steps_here) {
      a_copies.copy_next(a_tiles + stage(step + kStages - 1));
      b_copies.copy_next(b_tiles + stage(step + kStages - 1));
    }
    commit_copies();
    multiply_tiles<T, Transposed>(a_tiles + stage(step), b_tiles + stage(step), sums);
  }
  wait_for_copies<0>();

  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  float* partial = splits > 1 ? partial_sums + blockIdx.z * args.m * args.n : partial_sums;
#pragma unroll
  for (int i = 0; i < 2; ++i)
#pragma unroll
    for (int j = 0; j < 2; ++j)
#pragma unroll
      for (int half = 0; half < 2; ++half)
        put<T>(args, partial, row + warp / 4 * 32 + 16 * i + 8 * half + lane / 4,
               column + warp % 4 * 16 + 8 * j + lane % 4 * 2, sums[i][j][2 * half],
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
