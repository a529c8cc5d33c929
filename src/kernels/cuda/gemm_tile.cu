#include "src/kernels/cuda/activation.cuh"
#include "src/kernels/cuda/gemm_tile.h"
#include "src/kernels/cuda/launch.cuh"
#include "src/kernels/cuda/mma.cuh"

namespace tercel::kernels::cuda {
namespace {

constexpr int kTile = 64;  // rows of C, and the step along K; a tile has 64 or 32 columns
constexpr int kChunk = 8;  // elements in 16 bytes
constexpr int kStages = 6;
constexpr int kEarly = 3;  // tiles of weights that are fetched before earlier kernels have ended
// Warps of 32 rows x 16 columns of C.
template <int Columns>
constexpr int kTileThreads = 2 * (Columns / 16) * 32;
template <int Columns>
constexpr int kSharedBytes = kStages* kTile*(kTile + Columns) * 2;

// Where chunk `chunk` of row `row` of a tile lies, with 8 or 4 chunks a row: shifted so that eight
// rows' chunks of one column are in different banks.
template <int RowChunks>
__device__ __forceinline__ uint32_t tile_offset(int row, int chunk) {
  const int shift = RowChunks == 8 ? row % 8 : row / 2 % 4;
  return static_cast<uint32_t>((row * RowChunks + (chunk ^ shift)) * 16);
}

// What a thread copies of each tile of a matrix, tile after tile along K: some chunks, one below
// the other. `Down`: K is the tile's rows, else its columns.
template <class T, bool Down, int Rows, int RowChunks, int Threads>
class TileCopies {
 public:
  __device__ __forceinline__ TileCopies(const T* matrix, int64_t stride, int64_t fixed,
                                        int64_t fixed_size, int64_t k, int64_t k_size)
      : matrix_(matrix), k_left_(k_size - k) {
    const int row = static_cast<int>(threadIdx.x) / RowChunks;
    const int chunk = static_cast<int>(threadIdx.x) % RowChunks;
    to_ = tile_offset<RowChunks>(row, chunk);  // rows kRowsApart apart are shifted alike
    k_ = Down ? row : chunk * kChunk;
    fixed_left_ = fixed_size - fixed - (Down ? chunk * kChunk : row);
    const int64_t first_row = Down ? k + row : fixed + row;
    const int64_t column = Down ? fixed + chunk * kChunk : k + chunk * kChunk;
    from_ = matrix + first_row * stride + column;
    row_step_ = kRowsApart * stride;
    tile_step_ = Down ? kTile * stride : kTile;
  }

  // All tiles on the way to the L2, as long as they are inside: `steps` of them.
  __device__ __forceinline__ void prefetch(int steps) const {
    const T* from = from_;
    int64_t k_left = k_left_;
    for (int step = 0; step < steps; ++step, from += tile_step_, k_left -= kTile) {
#pragma unroll
      for (int i = 0; i < Rows / kRowsApart; ++i) {
        const bool inside = Down ? k_ + i * kRowsApart < k_left && fixed_left_ > 0
                                 : k_ < k_left && i * kRowsApart < fixed_left_;
        // A row of the tile is a line of memory, or a half: one of its chunks asks for it.
        if (inside && threadIdx.x % RowChunks == 0)
          asm volatile("prefetch.global.L2 [%0];" ::"l"(from + i * row_step_));
      }
    }
  }

  // The next tile, to `tile` in shared memory.
  __device__ __forceinline__ void copy_next(uint32_t tile) {
#pragma unroll
    for (int i = 0; i < Rows / kRowsApart; ++i) {
      const bool inside = Down ? k_ + i * kRowsApart < k_left_ && fixed_left_ > 0
                               : k_ < k_left_ && i * kRowsApart < fixed_left_;
      copy_async(tile + to_ + static_cast<uint32_t>(i * kRowsApart * RowChunks * 16),
                 inside ? from_ + i * row_step_ : matrix_, inside);
    }
    from_ += tile_step_;
    k_left_ -= kTile;
  }

 private:
  static constexpr int kRowsApart = Threads / RowChunks;
  static_assert(kRowsApart % 8 == 0 && Rows % kRowsApart == 0);
  const T* matrix_;
  const T* from_;
  int64_t row_step_, tile_step_, k_left_, fixed_left_;
  int k_;
  uint32_t to_;
};

template <class T, bool Transposed, int Columns>
__device__ __forceinline__ void multiply_tiles(uint32_t a, uint32_t b, float (&sums)[2][2][4]) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int row = warp / (Columns / 16) * 32, column = warp % (Columns / 16) * 16;
  uint32_t left[kTile / 16][2][4], right[kTile / 16][4];
#pragma unroll
  for (int k = 0; k < kTile / 16; ++k) {
#pragma unroll
    for (int i = 0; i < 2; ++i)
      load_matrices(left[k][i], a + tile_offset<8>(row + 16 * i + lane % 16, 2 * k + lane / 16));
    if constexpr (Transposed)
      load_matrices(right[k],
                    b + tile_offset<8>(column + lane / 16 * 8 + lane % 8, 2 * k + lane / 8 % 2));
    else
      load_transposed(right[k], b + tile_offset<Columns / kChunk>(16 * k + lane % 16,
                                                                  column / kChunk + lane / 16));
  }
#pragma unroll
  for (int k = 0; k < kTile / 16; ++k)
#pragma unroll
    for (int i = 0; i < 2; ++i)
#pragma unroll
      for (int j = 0; j < 2; ++j)
        multiply_add<T>(sums[i][j], left[k][i], right[k][2 * j], right[k][2 * j + 1]);
}

// A thread's part of a tile: pairs of neighbouring columns, 8 rows or 8 columns apart.
constexpr int kPairs = 8;

__device__ __noinline__ void activate_other(Activation activation, float2 (&values)[kPairs]) {
#pragma unroll 1
  for (float2& value : values)
    value = {activate(activation, value.x), activate(activation, value.y)};
}

// Branches only around all pairs together: what a value waits for is filled with others.
template <class T>
__device__ __forceinline__ void put(const GemmArgs& args, float* partial, int64_t row,
                                    int64_t column, const float (&sums)[2][2][4]) {
  const auto row_of = [&](int pair) { return row + pair / 4 * 16 + pair % 2 * 8; };
  const auto column_of = [&](int pair) { return column + pair / 2 % 2 * 8; };
  const auto inside = [&](int pair) { return row_of(pair) < args.m && column_of(pair) < args.n; };
  float2 values[kPairs];
#pragma unroll
  for (int pair = 0; pair < kPairs; ++pair) {
    const float(&from)[4] = sums[pair / 4][pair / 2 % 2];
    values[pair] = {from[2 * (pair % 2)], from[2 * (pair % 2) + 1]};
  }
  if (partial != nullptr) {
#pragma unroll
    for (int pair = 0; pair < kPairs; ++pair)
      if (inside(pair))
        *reinterpret_cast<float2*>(partial + row_of(pair) * args.n + column_of(pair)) =
            values[pair];
    return;
  }
  const GemmEpilogue& epilogue = args.epilogue;
  const auto pair_at = [](const void* from, int64_t at, bool is) {
    return is ? floats_of<T>(*reinterpret_cast<const uint32_t*>(static_cast<const T*>(from) + at))
              : float2{};
  };
#pragma unroll
  for (int pair = 0; pair < kPairs; ++pair) {
    const float2 bias = pair_at(epilogue.bias, column_of(pair),
                                epilogue.bias != nullptr && column_of(pair) < args.n);
    values[pair] = {fmaf(args.alpha, values[pair].x, bias.x),
                    fmaf(args.alpha, values[pair].y, bias.y)};
  }
  const auto rectify = [&] {
#pragma unroll
    for (float2& value : values)
      value = {activate(Activation::relu, value.x), activate(Activation::relu, value.y)};
  };
  if (epilogue.activation == Activation::relu) {
    rectify();
  } else if (epilogue.activation == Activation::gelu) {
#pragma unroll
    for (float2& value : values) value = {gelu_fast(value.x), gelu_fast(value.y)};
  } else if (epilogue.activation != Activation::none) {
    float2 others[kPairs];  // in memory, as the call has their address
#pragma unroll
    for (int pair = 0; pair < kPairs; ++pair) others[pair] = values[pair];
    activate_other(epilogue.activation, others);
#pragma unroll
    for (int pair = 0; pair < kPairs; ++pair) values[pair] = others[pair];
  }
  if (epilogue.residual != nullptr) {
#pragma unroll
    for (int pair = 0; pair < kPairs; ++pair) {
      const float2 residual = pair_at(
          epilogue.residual, row_of(pair) * epilogue.residual_row + column_of(pair), inside(pair));
      values[pair] = {values[pair].x + residual.x, values[pair].y + residual.y};
    }
  }
  if (epilogue.last == Activation::relu) rectify();
  T* c = static_cast<T*>(args.c);
#pragma unroll
  for (int pair = 0; pair < kPairs; ++pair)
    if (inside(pair))
      *reinterpret_cast<uint32_t*>(c + row_of(pair) * args.c_row + column_of(pair)) =
          pair_of<T>(values[pair].x, values[pair].y);
}

template <class T, bool Transposed, int Columns>
__global__ void __launch_bounds__(kTileThreads<Columns>)
    gemm_tile_kernel(GemmArgs args, float* partial_sums, int splits) {
  extern __shared__ __align__(128) uint8_t shared[];
  const int64_t row = static_cast<int64_t>(blockIdx.y) * kTile;
  const int64_t column = static_cast<int64_t>(blockIdx.x) * Columns;
  const int64_t item = splits > 1 ? 0 : blockIdx.z;
  const int64_t steps = (args.k + kTile - 1) / kTile;
  const int64_t first = splits > 1 ? steps * blockIdx.z / splits : 0;
  const int64_t last = splits > 1 ? steps * (blockIdx.z + 1) / splits : steps;
  const T* a = static_cast<const T*>(args.a) + item * args.a_batch;
  const T* b = static_cast<const T*>(args.b) + item * args.b_batch;
  args.c = static_cast<T*>(args.c) + item * args.c_batch;
  if (args.epilogue.residual != nullptr)
    args.epilogue.residual = static_cast<const T*>(args.epilogue.residual) + item * args.c_batch;
  if (args.epilogue.bias != nullptr)
    args.epilogue.bias =
        static_cast<const T*>(args.epilogue.bias) + item * args.epilogue.bias_batch;

  constexpr int kThreadsHere = kTileThreads<Columns>;
  constexpr int kABytes = kTile * kTile * 2, kBBytes = kTile * Columns * 2;
  const uint32_t shared_begin = shared_address(shared);
  const auto a_tile = [&](int step) {
    return shared_begin + static_cast<uint32_t>(step % kStages * kABytes);
  };
  const auto b_tile = [&](int step) {
    return shared_begin + static_cast<uint32_t>(kStages * kABytes + step % kStages * kBBytes);
  };
  const auto steps_here = static_cast<int>(last - first);
  TileCopies<T, false, kTile, 8, kThreadsHere> a_copies(a, args.a_row, row, args.m, first * kTile,
                                                        args.k);
  TileCopies<T, !Transposed, Transposed ? Columns : kTile, Transposed ? 8 : Columns / kChunk,
             kThreadsHere>
      b_copies(b, args.b_row, column, args.n, first * kTile, args.k);

  // Weights may be fetched while earlier kernels still write A; further ones come as far as the L2.
  if (!args.b_is_weight) wait_for_earlier();
  for (int s = 0; s < kEarly; ++s)
    if (s < steps_here) b_copies.copy_next(b_tile(s));
  if (args.b_is_weight) {
    if (blockIdx.y == 0) b_copies.prefetch(steps_here - kEarly);
    wait_for_earlier();
  }
  let_next_start();
  for (int s = 0; s < kStages - 1; ++s) {
    if (s < steps_here) {
      a_copies.copy_next(a_tile(s));
      if (s >= kEarly) b_copies.copy_next(b_tile(s));
    }
    commit_copies();  // the first group holds all of B's early tiles
  }

  float sums[2][2][4] = {};
  for (int step = 0; step < steps_here; ++step) {
    wait_for_copies<kStages - 2>();
    __syncthreads();
    if (step + kStages - 1 < steps_here) {
      a_copies.copy_next(a_tile(step + kStages - 1));
      b_copies.copy_next(b_tile(step + kStages - 1));
    }
    commit_copies();
    multiply_tiles<T, Transposed, Columns>(a_tile(step), b_tile(step), sums);
  }
  wait_for_copies<0>();

  constexpr int kWarpsBeside = Columns / 16;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  float* partial = splits > 1 ? partial_sums + blockIdx.z * args.m * args.n : partial_sums;
  put<T>(args, partial, row + warp / kWarpsBeside * 32 + lane / 4,
         column + warp % kWarpsBeside * 16 + lane % 4 * 2, sums);
}

int64_t tiles(int64_t size, int tile = kTile) { return (size + tile - 1) / tile; }

// Tiles of 32 columns while each has a multiprocessor to itself: each is half the work.
int columns_for(const GemmArgs& args) {
  const int64_t blocks = tiles(args.m) * tiles(args.n, 32) * args.batch;
  return blocks <= multiprocessors() ? 32 : 64;
}

template <class T, bool Transposed, int Columns>
void launch(const GemmArgs& args, float* partial_sums, int splits, cudaStream_t stream) {
  const auto kernel = gemm_tile_kernel<T, Transposed, Columns>;
  constexpr int kBytes = kSharedBytes<Columns>;
  check_cuda(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes),
             "gemm_tile");
  const dim3 grid(static_cast<unsigned>(tiles(args.n, Columns)),
                  static_cast<unsigned>(tiles(args.m)),
                  static_cast<unsigned>(partial_sums != nullptr ? splits : args.batch));
  launch_early("gemm_tile", kernel, grid, kTileThreads<Columns>, kBytes, stream, args, partial_sums,
               splits);
}

template <class T>
void launch(const GemmArgs& args, float* partial_sums, int splits, cudaStream_t stream) {
  if (columns_for(args) == 32)
    args.b_transposed ? launch<T, true, 32>(args, partial_sums, splits, stream)
                      : launch<T, false, 32>(args, partial_sums, splits, stream);
  else
    args.b_transposed ? launch<T, true, 64>(args, partial_sums, splits, stream)
                      : launch<T, false, 64>(args, partial_sums, splits, stream);
}

}  // namespace

bool gemm_tile_takes(const GemmArgs& args) {
  if (args.type != Dtype::f16 && args.type != Dtype::bf16) return false;
  if (args.epilogue.last != Activation::none && args.epilogue.last != Activation::relu)
    return false;
  const auto aligned = [](const void* pointer, int64_t stride, int64_t batch) {
    return packs<uint16_t, kChunk>(pointer, stride) && batch % kChunk == 0;
  };
  const auto paired = [](const void* pointer, int64_t stride) {
    return packs<uint16_t, 2>(pointer, stride);
  };
  return args.k % kChunk == 0 && args.n % kChunk == 0 &&
         aligned(args.a, args.a_row, args.a_batch) && aligned(args.b, args.b_row, args.b_batch) &&
         paired(args.c, args.c_row) && args.c_batch % 2 == 0 &&
         paired(args.epilogue.bias, args.epilogue.bias_batch) &&
         paired(args.epilogue.residual, args.epilogue.residual_row) && tiles(args.m) < 65536 &&
         args.batch < 65536;
}

int gemm_tile_splits(const GemmArgs& args) {
  const int64_t blocks = std::max<int64_t>(tiles(args.m) * tiles(args.n, columns_for(args)), 1);
  const int64_t most = std::clamp<int64_t>(tiles(args.k) / 3, 1, 8);  // steps that pay a start
  return static_cast<int>(std::clamp<int64_t>(2 * multiprocessors() / blocks, 1, most));
}

void gemm_tile(const GemmArgs& args, float* partial_sums, int splits, cudaStream_t stream) {
  if (args.m == 0 || args.n == 0 || args.batch == 0) return;
  if (args.type == Dtype::f16)
    launch<Half>(args, partial_sums, splits, stream);
  else
    launch<Bfloat>(args, partial_sums, splits, stream);
}

}  // namespace tercel::kernels::cuda
