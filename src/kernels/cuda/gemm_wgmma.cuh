#pragma once
// A block has a thread that has tiles of A and B copied into a ring in shared memory, and two
// warpgroups that take turns at tiles of C: while one multiplies, the other ends its tile (bias,
// activation, residual) and has it stored. Two blocks, one below the other in C, are a cluster:
// each has one half of B's tile copied to both. Blocks stay for all tiles. (The schedule is
// CUTLASS's "ping-pong".)

#include "src/kernels/cuda/gemm_wgmma_tile.cuh"
#include "src/kernels/cuda/launch.cuh"

namespace tercel::kernels::cuda::wgmma {

#if defined(TERCEL_HOPPER)

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
