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

constexpr int kRows = 128;       // of a tile of C
constexpr int kStepBytes = 128;  // along K: the widest that the copy engine swizzles
constexpr int kCluster = 2;      // blocks
constexpr int kThreads = 3 * kWarpgroup;
constexpr int kPartColumns = 64;  // of what leaves a tile of C at once
constexpr int kPartBytes = kRows * kPartColumns * 2;

// A tile of C, how many steps of A and B the ring holds, and for how many parts of a tile of C a
// warpgroup has a place in shared memory.
template <int Columns, int Stages, int Places>
struct Shape {
  static constexpr int kColumns = Columns;
  static constexpr int kParts = Columns / kPartColumns;
  static constexpr int kPlaces = Places;
  static constexpr int kOutBytes = Places * kPartBytes;  // of a warpgroup
  static constexpr int kStages = Stages;
  static constexpr int kABytes = kRows * kStepBytes;
  static constexpr int kBBytes = Columns * kStepBytes;
  static constexpr int kStageBytes = kABytes + kBBytes;
  static constexpr int kColumnBytes = Columns * (4 + 2);  // scales, then a bias, of the columns
  // Behind the tiles, which are aligned: barriers, then what the columns have.
  static constexpr int kBarriers = Stages * kStageBytes + 2 * kOutBytes;
  static constexpr int kSharedBytes = kBarriers + Stages * 16 + 2 * (Places * 8 + kColumnBytes);
};

// The wider a tile, the fewer bytes of shared memory are written and read for a product, which is
// what limits it. Where much is to be done at its end, that takes turns with the other warpgroup's
// products at the registers, and longer with more of them: more steps ahead are worth more.
using Wide = Shape<192, 4, 2>;
using Deep = Shape<128, 6, 1>;
using WithResidual = Shape<128, 5, 2>;  // of bytes

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

  __host__ __device__ Tiles(const GemmArgs& args, int columns)
      : across(static_cast<uint32_t>((args.n + columns - 1) / columns)),
        down(static_cast<uint32_t>((args.m + kCluster * kRows - 1) / (kCluster * kRows))),
        count(across * down * static_cast<uint32_t>(args.batch)) {}
};

#if defined(TERCEL_HOPPER)

struct Place {
  int row, column, item;

  __device__ __forceinline__ Place(const Tiles& tiles, int columns, uint32_t tile, uint32_t rank)
      : row(static_cast<int>((tile / tiles.across % tiles.down * kCluster + rank) * kRows)),
        column(static_cast<int>(tile % tiles.across) * columns),
        item(static_cast<int>(tile / tiles.across / tiles.down)) {}
};

// The ring in shared memory, and where in it a block is.
template <class S>
struct Ring {
  uint32_t begin, barriers;

  __device__ __forceinline__ uint32_t a(uint32_t slot) const {
    return begin + slot * S::kStageBytes;
  }
  __device__ __forceinline__ uint32_t b(uint32_t slot) const { return a(slot) + S::kABytes; }
  __device__ __forceinline__ uint32_t full(uint32_t slot) const { return barriers + slot * 16; }
  __device__ __forceinline__ uint32_t empty(uint32_t slot) const { return full(slot) + 8; }
};

// One thread has every tile of A and B of this block copied.
template <class S>
class Fetcher {
 public:
  // `width`: elements of a step along K.
  __device__ __forceinline__ Fetcher(const Maps& maps, const GemmArgs& args, const Ring<S>& ring,
                                     uint32_t rank, uint32_t steps, int width)
      : maps_(maps), args_(args), ring_(ring), rank_(rank), steps_(steps), width_(width) {}

  __device__ __forceinline__ void run() {
    const Tiles tiles(args_, S::kColumns);
    // Weights may be fetched while earlier kernels still write A.
    uint32_t early = args_.b_is_weight ? min(steps_, kStages) : 0;
    const Place first(tiles, S::kColumns, blockIdx.x / kCluster, rank_);
    for (uint32_t step = 0; step < early; ++step) fetch_b(first, step, step);
    wait_for_earlier();
    uint32_t slot = 0, parity = 1;  // every slot is empty at first
    for (uint32_t tile = blockIdx.x / kCluster; tile < tiles.count; tile += gridDim.x / kCluster) {
      const Place place(tiles, S::kColumns, tile, rank_);
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
  static constexpr uint32_t kStages = S::kStages;

  // This block's half, to both; the slot expects all that comes.
  __device__ __forceinline__ void fetch_b(const Place& place, uint32_t step, uint32_t slot) {
    arrive_expecting(ring_.full(slot), S::kStageBytes);
    load_tile_to((1 << kCluster) - 1, ring_.b(slot) + rank_ * (S::kBBytes / kCluster), maps_.b,
                 ring_.full(slot), static_cast<int>(step) * width_,
                 place.column + static_cast<int>(rank_) * (S::kColumns / kCluster),
                 args_.b_batch == 0 ? 0 : place.item);
  }

  const Maps& maps_;
  const GemmArgs& args_;
  const Ring<S>& ring_;
  uint32_t rank_, steps_;
  int width_;
};

// A slot has been read by this warp: both blocks' copies into it may go on.
template <class S>
__device__ __forceinline__ void release(const Ring<S>& ring, uint32_t slot) {
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
template <class In, class S, class Next>
__device__ __forceinline__ void multiply(const Ring<S>& ring, uint32_t first, uint32_t steps,
                                         Accumulator<In> (&sums)[2][S::kColumns / 8][4],
                                         Next&& next) {
  constexpr uint32_t kStages = S::kStages;
  uint32_t slot = first % kStages, parity = first / kStages % 2, before = 0;
  for (uint32_t step = 0; step < steps; ++step) {
    wait_for(ring.full(slot), parity);
    const uint32_t tiles = uniform(ring.a(slot));
    const uint64_t a = descriptor(tiles), b = descriptor(tiles + S::kABytes);
    begin_products();
#pragma unroll
    for (int k = 0; k < kStepBytes / 32; ++k) {
      const int keep = step > 0 || k > 0;
      multiply_tile<In, S::kColumns>(sums[0], a + 2 * k, b + 2 * k, keep);
      multiply_tile<In, S::kColumns>(sums[1], a + 512 + 2 * k, b + 2 * k, keep);
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

// What ends a tile: the residual, fetched into where C will be in shared memory while the tile is
// multiplied, as far as there are places; a scale and a bias for each column, in shared memory
// before; scales of the 4 rows that a thread has.
template <class In, class T, class S, bool Residual>
class Ending {
 public:
  using Sums = Accumulator<In>[2][S::kColumns / 8][4];

  // `barriers`: one for each place. `barrier`: of the warpgroup.
  __device__ __forceinline__ Ending(const Maps& maps, const GemmArgs& args, const Scales& scales,
                                    uint32_t out, uint32_t barriers, uint8_t* columns, int barrier)
      : maps_(maps),
        args_(args),
        scales_(scales),
        out_(out),
        barriers_(barriers),
        factors_(reinterpret_cast<float*>(columns)),
        biases_(reinterpret_cast<T*>(columns + S::kColumns * sizeof(float))),
        barrier_(barrier) {}

  __device__ __forceinline__ void fetch(const Place& place) {
    const int thread = threadIdx.x % kWarpgroup;
    if (Residual && thread == 0) {
      wait_for_store_reads<0>();
      for (int part = 0; part < S::kPlaces; ++part) fetch_residual(place, part);
    }
    const auto* bias = static_cast<const T*>(args_.epilogue.bias);
#pragma unroll
    for (int own = thread; own < S::kColumns; own += kWarpgroup) {
      const int64_t column = place.column + own;
      const bool exists = column < args_.n;
      biases_[own] = bias != nullptr && exists
                         ? bias[place.item * args_.epilogue.bias_batch + column]
                         : narrow<T>(0.0F);
      if constexpr (kBytes)
        factors_[own] = exists ? scales_.b[place.item * args_.n + column] : 0.0F;
    }
    const int lane = thread % 32, warp = thread / 32;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int64_t row = place.row + 64 * (i / 2) + 16 * warp + 8 * (i % 2) + lane / 4;
      of_rows_[i / 2][i % 2] = args_.alpha;
      if constexpr (kBytes) of_rows_[i / 2][i % 2] = row < args_.m ? scales_.a[row] : 0.0F;
    }
  }

  // Ends the tile's sums and has them stored. All of the warpgroup.
  __device__ __forceinline__ void finish(const Sums& sums, const Place& place) {
    if (threadIdx.x % kWarpgroup == 0) wait_for_store_reads<0>();
    synchronize_warpgroup(barrier_);
    if (args_.epilogue.activation == Activation::gelu)
      finish_parts<true>(sums, place);
    else
      finish_parts<false>(sums, place);
  }

 private:
  static constexpr bool kBytes = sizeof(In) == 1;

  __device__ __forceinline__ uint32_t place_of(int part) const {
    return out_ + part % S::kPlaces * kPartBytes;
  }
  __device__ __forceinline__ uint32_t barrier_of(int part) const {
    return barriers_ + part % S::kPlaces * 8;
  }

  __device__ __forceinline__ void fetch_residual(const Place& place, int part) const {
    arrive_expecting(barrier_of(part), kPartBytes);
    load_tile(place_of(part), maps_.residual, barrier_of(part), place.column + part * kPartColumns,
              place.row, place.item);
  }

  template <bool Gelu>
  __device__ __forceinline__ void finish_parts(const Sums& sums, const Place& place) {
    const bool leads = threadIdx.x % kWarpgroup == 0;
#pragma unroll
    for (int part = 0; part < S::kParts; ++part) {
      if constexpr (Residual) {
        wait_for(barrier_of(part), (parities_ >> (part % S::kPlaces)) & 1U);
        parities_ ^= 1U << (part % S::kPlaces);
      }
      uint32_t matrices[8][4];
#pragma unroll
      for (int across = 0; across < 4; ++across) {
        // What is read for columns further on would take registers now.
        asm volatile("" ::: "memory");
#pragma unroll
        for (int i = 2 * across; i < 2 * across + 2; ++i) {
          finish_matrices<Gelu>(sums, part, across, i % 2, matrices[i]);
          // This warp alone has read the residual that was there.
          if constexpr (Residual)
            store_matrices(row_of(place_of(part), across, i % 2), matrices[i]);
        }
      }
      if constexpr (!Residual) {
        if (part >= S::kPlaces) {
          if (leads) wait_for_store_reads<S::kPlaces - 1>();
          synchronize_warpgroup(barrier_);
        }
#pragma unroll
        for (int i = 0; i < 8; ++i)
          store_matrices(row_of(place_of(part), i / 2, i % 2), matrices[i]);
      }
      publish_shared();
      synchronize_warpgroup(barrier_);
      if (!leads) continue;
      store_tile(maps_.c, place_of(part), place.column + part * kPartColumns, place.row,
                 place.item);
      commit_stores();
      if (Residual && part > 0 && part - 1 + S::kPlaces < S::kParts) {
        wait_for_store_reads<1>();
        fetch_residual(place, part - 1 + S::kPlaces);
      }
    }
    __syncwarp();
  }

  // Of the 16 columns `across` and the 64 rows `down`, where this lane's row begins.
  __device__ __forceinline__ static uint32_t row_of(uint32_t part, int across, int down) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32 % 4;
    return part + swizzled(64 * down + 16 * warp + lane % 16, 2 * across + lane / 16);
  }

  // scales · sums + bias, activated, + residual. No branches: what a value waits for is filled with
  // others.
  template <bool Gelu>
  __device__ __forceinline__ void finish_matrices(const Sums& sums, int part, int across, int down,
                                                  uint32_t (&matrices)[4]) const {
    uint32_t residual[4];
    if constexpr (Residual) load_matrices(residual, row_of(place_of(part), across, down));
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int j = 8 * part + 2 * across + i / 2, below = i % 2;
      const int column = static_cast<int>(threadIdx.x % 4) * 2 + 8 * j;
      const Accumulator<In>(&sum)[4] = sums[down][j];
      auto low = static_cast<float>(sum[2 * below]);
      auto high = static_cast<float>(sum[2 * below + 1]);
      if constexpr (kBytes) {
        const float2 factor = *reinterpret_cast<const float2*>(factors_ + column);
        low *= factor.x;
        high *= factor.y;
      }
      const float2 bias = floats_of<T>(*reinterpret_cast<const uint32_t*>(biases_ + column));
      low = fmaf(of_rows_[down][below], low, bias.x);
      high = fmaf(of_rows_[down][below], high, bias.y);
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
  }

  const Maps& maps_;
  const GemmArgs& args_;
  const Scales& scales_;
  uint32_t out_, barriers_, parities_ = 0;
  float* factors_;
  T* biases_;
  int barrier_;
  float of_rows_[2][2];
};

// One warpgroup: every second tile of this block.
template <class In, class T, class S, bool Residual>
__device__ __forceinline__ void compute(const GemmArgs& args, const Ring<S>& ring,
                                        Ending<In, T, S, Residual> ending, uint32_t rank,
                                        uint32_t steps, int group) {
  const Tiles tiles(args, S::kColumns);
  uint32_t turn = 0;
  for (uint32_t tile = blockIdx.x / kCluster; tile < tiles.count;
       tile += gridDim.x / kCluster, ++turn) {
    if (turn % 2 != static_cast<uint32_t>(group)) continue;
    const Place place(tiles, S::kColumns, tile, rank);
    ending.fetch(place);
    Accumulator<In> sums[2][S::kColumns / 8][4];
    if (turn > 0) wait_for_turn(group);
    multiply<In>(ring, turn * steps, steps, sums, [&] {
      if (tile + gridDim.x / kCluster < tiles.count) give_turn(1 - group);
    });
    ending.finish(sums, place);
  }
  if (threadIdx.x % kWarpgroup == 0) wait_for_stores();
}

#endif

// Of A and B in In, C in T.
template <class In, class T, class S, bool Residual>
__global__ void __launch_bounds__(kThreads, 1)
    gemm_wgmma_kernel(const __grid_constant__ Maps maps, const __grid_constant__ GemmArgs args,
                      const Scales scales) {
#if defined(TERCEL_HOPPER)
  extern __shared__ __align__(1024) uint8_t shared[];  // as swizzled tiles have to be
  const uint32_t begin = shared_address(shared);
  const Ring<S> ring{begin, begin + S::kBarriers};
  const uint32_t residuals = ring.barriers + S::kStages * 16;
  const uint32_t rank = cluster_rank();
  constexpr int kWidth = kStepBytes / static_cast<int>(sizeof(In));
  const auto steps = static_cast<uint32_t>((args.k + kWidth - 1) / kWidth);
  if (threadIdx.x == 0) {
    for (uint32_t slot = 0; slot < S::kStages; ++slot) {
      make_barrier(ring.full(slot), 1);
      make_barrier(ring.empty(slot), 4 * kCluster);  // the warps that read it
    }
    for (uint32_t place = 0; place < 2 * S::kPlaces; ++place)
      make_barrier(residuals + place * 8, 1);
    publish_barriers();
  }
  synchronize_cluster();
  let_next_start();
  const int group = static_cast<int>(uniform(threadIdx.x / kWarpgroup));
  if (group == 0) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 24;");
    if (threadIdx.x == 0) Fetcher<S>(maps, args, ring, rank, steps, kWidth).run();
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 240;");
    wait_for_earlier();
    const int consumer = group - 1;
    uint8_t* columns = shared + S::kBarriers + S::kStages * 16 + 2 * S::kPlaces * 8;
    const Ending<In, T, S, Residual> ending(
        maps, args, scales, begin + S::kStages * S::kStageBytes + consumer * S::kOutBytes,
        residuals + consumer * S::kPlaces * 8, columns + consumer * S::kColumnBytes, group);
    compute<In, T, S, Residual>(args, ring, ending, rank, steps, consumer);
  }
  __syncwarp();
  // The other block may still copy into this one's memory, and arrive at its barriers.
  synchronize_cluster();
#endif
}

}  // namespace tercel::kernels::cuda::wgmma
