#pragma once
// A block has a thread that has tiles of A and B copied into a ring in shared memory, and two
// warpgroups that take turns at tiles of C: while one multiplies, the other ends its tile (bias,
// activation, residual) and has it stored. Two blocks, one below the other in C, are a cluster:
// each has one half of B's tile copied to both. Blocks stay for all tiles. (The schedule is
// CUTLASS's "ping-pong".)

#include <cuda_fp8.h>

#include "src/kernels/cuda/activation.cuh"
#include "src/kernels/cuda/gemm.h"
#include "src/kernels/cuda/hopper.cuh"
#include "src/kernels/cuda/launch.cuh"

namespace tercel::kernels::cuda::wgmma {

constexpr int kTile = 128;       // rows and columns of C
constexpr int kStepBytes = 128;  // along K: the widest that the copy engine swizzles
constexpr int kCluster = 2;      // blocks
constexpr int kStages = 5;
constexpr int kThreads = 3 * kWarpgroup;
constexpr int kTileBytes = kTile * kStepBytes;  // of A, and of B
constexpr int kOutBytes = kTile * kTile * 2;    // a tile of C, as two of 64 columns
constexpr int kAlignment = 1024;                // of swizzled tiles
constexpr int kColumnBytes = kTile * (4 + 2);   // scales, then a bias, of a tile's columns
constexpr int kSharedBytes = kAlignment + kStages * (2 * kTileBytes + 16) +
                             2 * (kOutBytes + 8 + kColumnBytes);  // barriers behind the tiles

using Fp8 = __nv_fp8_e4m3;

struct Maps {
  CUtensorMap a, b, c, residual;
};

// Of the rows of A, and of those of B, where both are of bytes.
struct Scales {
  const float* a = nullptr;
  const float* b = nullptr;
};

// The tiles of C in the order in which clusters take them: along N, then M, then the batch.
struct Tiles {
  uint32_t across, down, count;

  __host__ __device__ explicit Tiles(const GemmArgs& args)
      : across(static_cast<uint32_t>((args.n + kTile - 1) / kTile)),
        down(static_cast<uint32_t>((args.m + kCluster * kTile - 1) / (kCluster * kTile))),
        count(across * down * static_cast<uint32_t>(args.batch)) {}
};

#if defined(TERCEL_HOPPER)

constexpr int kHalfOut = kOutBytes / 2;

struct Place {
  int row, column, item;

  __device__ __forceinline__ Place(const Tiles& tiles, uint32_t tile, uint32_t rank)
      : row(static_cast<int>((tile / tiles.across % tiles.down * kCluster + rank) * kTile)),
        column(static_cast<int>(tile % tiles.across * kTile)),
        item(static_cast<int>(tile / tiles.across / tiles.down)) {}
};

// The ring in shared memory, and where in it a block is.
struct Ring {
  uint32_t begin, barriers;

  __device__ __forceinline__ uint32_t a(uint32_t slot) const {
    return begin + slot * 2 * kTileBytes;
  }
  __device__ __forceinline__ uint32_t b(uint32_t slot) const { return a(slot) + kTileBytes; }
  __device__ __forceinline__ uint32_t full(uint32_t slot) const { return barriers + slot * 16; }
  __device__ __forceinline__ uint32_t empty(uint32_t slot) const { return full(slot) + 8; }
};

// One thread has every tile of A and B of this block copied.
class Fetcher {
 public:
  // `width`: elements of a step along K.
  __device__ __forceinline__ Fetcher(const Maps& maps, const GemmArgs& args, const Ring& ring,
                                     uint32_t rank, uint32_t steps, int width)
      : maps_(maps), args_(args), ring_(ring), rank_(rank), steps_(steps), width_(width) {}

  __device__ __forceinline__ void run() {
    const Tiles tiles(args_);
    // Weights may be fetched while earlier kernels still write A.
    uint32_t early = args_.b_is_weight ? min(steps_, static_cast<uint32_t>(kStages)) : 0;
    const Place first(tiles, blockIdx.x / kCluster, rank_);
    for (uint32_t step = 0; step < early; ++step) fetch_b(first, step, step);
    wait_for_earlier();
    uint32_t slot = 0, parity = 1;  // every slot is empty at first
    for (uint32_t tile = blockIdx.x / kCluster; tile < tiles.count; tile += gridDim.x / kCluster) {
      const Place place(tiles, tile, rank_);
      for (uint32_t step = 0; step < steps_; ++step) {
        if (early > 0) {
          --early;
        } else {
          wait_for(ring_.empty(slot), parity);
          fetch_b(place, step, slot);
        }
        load_tile(ring_.a(slot), maps_.a, ring_.full(slot), static_cast<int>(step) * width_,
                  place.row, args_.a_batch == 0 ? 0 : place.item);
        if (++slot == kStages) slot = 0, parity ^= 1;
      }
    }
  }

 private:
  // This block's half, to both; the slot expects all that comes.
  __device__ __forceinline__ void fetch_b(const Place& place, uint32_t step, uint32_t slot) {
    arrive_expecting(ring_.full(slot), 2 * kTileBytes);
    load_tile_to((1 << kCluster) - 1, ring_.b(slot) + rank_ * (kTileBytes / kCluster), maps_.b,
                 ring_.full(slot), static_cast<int>(step) * width_,
                 place.column + static_cast<int>(rank_) * (kTile / kCluster),
                 args_.b_batch == 0 ? 0 : place.item);
  }

  const Maps& maps_;
  const GemmArgs& args_;
  const Ring& ring_;
  uint32_t rank_, steps_;
  int width_;
};

// A slot has been read by this warp: both blocks' copies into it may go on.
__device__ __forceinline__ void release(const Ring& ring, uint32_t slot) {
  if (threadIdx.x % 32 < kCluster) arrive_at(ring.empty(slot), threadIdx.x % 32);
}

// The warpgroups multiply in turn, as a wait for a slot's next phase would end at once while the
// phase before it lasts: each lets the other go on when it has waited for its last slot. By two
// barriers of all threads of both.
__device__ __forceinline__ void wait_for_turn(int group) {
  asm volatile("bar.sync %0, 256;" ::"r"(3 + group) : "memory");
}
__device__ __forceinline__ void give_turn(int group) {
  asm volatile("bar.arrive %0, 256;" ::"r"(3 + group) : "memory");
}

// The sums of one tile, from slot `first` of all that went through the ring on. `next`: what is
// done as soon as all is under way.
template <class In, class Next>
__device__ __forceinline__ void multiply(const Ring& ring, uint32_t first, uint32_t steps,
                                         Accumulator<In> (&sums)[2][16][4], Next&& next) {
  uint32_t slot = first % kStages, parity = first / kStages % 2, before = 0;
  for (uint32_t step = 0; step < steps; ++step) {
    wait_for(ring.full(slot), parity);
    const uint32_t tiles = uniform(ring.a(slot));
    const uint64_t a = descriptor(tiles), b = descriptor(tiles + kTileBytes);
    begin_products();
#pragma unroll
    for (int k = 0; k < kStepBytes / 32; ++k) {
      const int keep = step > 0 || k > 0;
      multiply_tile<In>(sums[0], a + 2 * k, b + 2 * k, keep);
      multiply_tile<In>(sums[1], a + 512 + 2 * k, b + 2 * k, keep);
    }
    commit_products();
    if (step > 0) {
      wait_for_products<1>();
      release(ring, before);
    }
    before = slot;
    if (++slot == kStages) slot = 0, parity ^= 1;
  }
  next();
  wait_for_products<0>();
  release(ring, before);
}

template <class T>
__device__ __forceinline__ float2 pair_at(const void* from, int64_t at) {
  return floats_of<T>(*reinterpret_cast<const uint32_t*>(static_cast<const T*>(from) + at));
}

// What ends a tile, fetched while it is multiplied: the residual into where C will be, in shared
// memory; a scale and a bias for each column there, too, by way of a register of the thread that
// has the column's number; scales of the 4 rows that a thread has.
template <class In, class T>
class Ending {
 public:
  __device__ __forceinline__ Ending(const Maps& maps, const GemmArgs& args, const Scales& scales,
                                    uint32_t out, uint32_t barrier, uint8_t* columns)
      : maps_(maps),
        args_(args),
        scales_(scales),
        out_(out),
        barrier_(barrier),
        factors_(reinterpret_cast<float*>(columns)),
        biases_(reinterpret_cast<T*>(columns + kTile * sizeof(float))) {}

  __device__ __forceinline__ void fetch(const Place& place) {
    const int thread = threadIdx.x % kWarpgroup;
    if (args_.epilogue.residual != nullptr && thread == 0) {
      wait_for_store_reads();
      arrive_expecting(barrier_, kOutBytes);
      for (int half = 0; half < 2; ++half)
        load_tile(out_ + half * kHalfOut, maps_.residual, barrier_, place.column + 64 * half,
                  place.row, place.item);
    }
    const int64_t column = place.column + thread;
    bias_ = narrow<T>(0.0F);
    factor_ = 0.0F;
    if (column < args_.n) {
      const GemmEpilogue& epilogue = args_.epilogue;
      if (epilogue.bias != nullptr)
        bias_ = static_cast<const T*>(epilogue.bias)[place.item * epilogue.bias_batch + column];
      if constexpr (kBytes) factor_ = scales_.b[place.item * args_.n + column];
    }
    const int lane = thread % 32, warp = thread / 32;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int64_t row = place.row + 64 * (i / 2) + 16 * warp + 8 * (i % 2) + lane / 4;
      of_rows_[i / 2][i % 2] = args_.alpha;
      if constexpr (kBytes) of_rows_[i / 2][i % 2] = row < args_.m ? scales_.a[row] : 0.0F;
    }
  }

  // The tile's sums, ended, as elements in `out`. All of the warpgroup, by its barrier.
  __device__ __forceinline__ void finish(Accumulator<In> (&sums)[2][16][4], int barrier) {
    const int thread = threadIdx.x % kWarpgroup;
    if (thread == 0) wait_for_store_reads();
    biases_[thread] = bias_;
    if constexpr (kBytes) factors_[thread] = factor_;
    synchronize_warpgroup(barrier);
    const bool gelu = args_.epilogue.activation == Activation::gelu;
    if (args_.epilogue.residual == nullptr) {
      gelu ? finish<true, false>(sums) : finish<false, false>(sums);
    } else {
      wait_for(barrier_, parity_);
      parity_ ^= 1;
      gelu ? finish<true, true>(sums) : finish<false, true>(sums);
    }
  }

 private:
  static constexpr bool kBytes = sizeof(In) == 1;

  // scales · sums + bias, activated, + residual. No branches: what a value waits for is filled with
  // others.
  template <bool Gelu, bool Residual>
  __device__ __forceinline__ void finish(const Accumulator<In> (&sums)[2][16][4]) const {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32 % 4;
#pragma unroll
    for (int j = 0; j < kTile / 8; j += 2) {
      float2 bias[2], factor[2];
#pragma unroll
      for (int beside = 0; beside < 2; ++beside) {
        const int column = lane % 4 * 2 + 8 * (j + beside);
        bias[beside] = floats_of<T>(*reinterpret_cast<const uint32_t*>(biases_ + column));
        if constexpr (kBytes) factor[beside] = *reinterpret_cast<const float2*>(factors_ + column);
      }
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const uint32_t at = out_ + j / 8 * kHalfOut +
                            swizzled(64 * half + 16 * warp + lane % 16, j % 8 + lane / 16);
        uint32_t residual[4], matrices[4];
        if constexpr (Residual) load_matrices(residual, at);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const int beside = i / 2, below = i % 2;
          const Accumulator<In>(&sum)[4] = sums[half][j + beside];
          auto low = static_cast<float>(sum[2 * below]);
          auto high = static_cast<float>(sum[2 * below + 1]);
          if constexpr (kBytes) {
            low *= factor[beside].x;
            high *= factor[beside].y;
          }
          low = fmaf(of_rows_[half][below], low, bias[beside].x);
          high = fmaf(of_rows_[half][below], high, bias[beside].y);
          if constexpr (Gelu) {
            low = gelu_fast(low);
            high = gelu_fast(high);
          }
          if constexpr (Residual) {
            const float2 more = floats_of<T>(residual[i]);
            low += more.x;
            high += more.y;
          }
          matrices[i] = pair_of<T>(low, high);
        }
        store_matrices(at, matrices);
      }
    }
  }

  const Maps& maps_;
  const GemmArgs& args_;
  const Scales& scales_;
  uint32_t out_, barrier_, parity_ = 0;
  float* factors_;
  T* biases_;
  T bias_;
  float factor_;
  float of_rows_[2][2];
};

// One warpgroup: every second tile of this block.
template <class In, class T>
__device__ __forceinline__ void compute(const Maps& maps, const GemmArgs& args, const Ring& ring,
                                        uint32_t out, Ending<In, T> ending, uint32_t rank,
                                        uint32_t steps, int group) {
  const Tiles tiles(args);
  const bool leads = threadIdx.x % kWarpgroup == 0;
  uint32_t turn = 0;
  for (uint32_t tile = blockIdx.x / kCluster; tile < tiles.count;
       tile += gridDim.x / kCluster, ++turn) {
    if (turn % 2 != static_cast<uint32_t>(group)) continue;
    const Place place(tiles, tile, rank);
    ending.fetch(place);
    Accumulator<In> sums[2][16][4];
    if (turn > 0) wait_for_turn(group);
    multiply<In>(ring, turn * steps, steps, sums, [&] {
      if (tile + gridDim.x / kCluster < tiles.count) give_turn(1 - group);
    });
    ending.finish(sums, 1 + group);
    publish_shared();
    synchronize_warpgroup(1 + group);
    if (leads) {
      for (int half = 0; half < 2; ++half)
        store_tile(maps.c, out + half * kHalfOut, place.column + 64 * half, place.row, place.item);
      commit_stores();
    }
    __syncwarp();
  }
  if (leads) wait_for_stores();
}

#endif

// Of A and B in In, C in T.
template <class In, class T>
__global__ void __launch_bounds__(kThreads, 1)
    gemm_wgmma_kernel(const __grid_constant__ Maps maps, const __grid_constant__ GemmArgs args,
                      const Scales scales) {
#if defined(TERCEL_HOPPER)
  extern __shared__ uint8_t shared[];
  const uint32_t begin = (shared_address(shared) + kAlignment - 1) / kAlignment * kAlignment;
  const uint32_t out = begin + kStages * 2 * kTileBytes;
  const Ring ring{begin, out + 2 * kOutBytes};
  const uint32_t residuals = ring.barriers + kStages * 16;
  const uint32_t rank = cluster_rank();
  constexpr int kWidth = kStepBytes / static_cast<int>(sizeof(In));
  const auto steps = static_cast<uint32_t>((args.k + kWidth - 1) / kWidth);
  if (threadIdx.x == 0) {
    for (uint32_t slot = 0; slot < kStages; ++slot) {
      make_barrier(ring.full(slot), 1);
      make_barrier(ring.empty(slot), 4 * kCluster);  // the warps that read it
    }
    for (uint32_t group = 0; group < 2; ++group) make_barrier(residuals + group * 8, 1);
    publish_barriers();
  }
  synchronize_cluster();
  let_next_start();
  const int group = static_cast<int>(uniform(threadIdx.x / kWarpgroup));
  if (group == 0) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
    if (threadIdx.x == 0) Fetcher(maps, args, ring, rank, steps, kWidth).run();
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
    wait_for_earlier();
    const auto consumer = static_cast<uint32_t>(group - 1);
    const uint32_t own = out + consumer * kOutBytes;
    uint8_t* columns = shared + (residuals + 16 - shared_address(shared)) + consumer * kColumnBytes;
    const Ending<In, T> ending(maps, args, scales, own, residuals + consumer * 8, columns);
    compute<In, T>(maps, args, ring, own, ending, rank, steps, group - 1);
  }
  __syncwarp();
  // The other block may still copy into this one's memory, and arrive at its barriers.
  synchronize_cluster();
#endif
}

}  // namespace tercel::kernels::cuda::wgmma
