#pragma once
// A tile of C in products by wgmma: its sizes, its place, and what ends it.

#include <cuda_fp8.h>

#include "src/kernels/cuda/activation.cuh"
#include "src/kernels/cuda/gemm.h"
#include "src/kernels/cuda/hopper.cuh"

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
// products at the registers, and longer with more of them: more steps ahead are worth more. A
// residual has to have a place for each part.
using Wide = Shape<192, 4, 2>;
using Deep = Shape<128, 6, 1>;
using WithResidual = Shape<128, 5, 2>;

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

// What ends a tile: the residual, fetched into where C will be in shared memory while the tile is
// multiplied; a scale and a bias for each column, in shared memory
// before; scales of the 4 rows that a thread has.
template <class In, class T, class S, bool Residual>
class Ending {
 public:
  static_assert(!Residual || S::kParts == S::kPlaces);
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
      for (int part = 0; part < S::kParts; ++part) {
        arrive_expecting(barrier_of(part), kPartBytes);
        load_tile(place_of(part), maps_.residual, barrier_of(part),
                  place.column + part * kPartColumns, place.row, place.item);
      }
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
  __device__ __forceinline__ uint32_t barrier_of(int part) const { return barriers_ + part * 8; }

  template <bool Gelu>
  __device__ __forceinline__ void finish_parts(const Sums& sums, const Place& place) {
    const bool leads = threadIdx.x % kWarpgroup == 0;
#pragma unroll
    for (int part = 0; part < S::kParts; ++part) {
      if constexpr (Residual) wait_for(barrier_of(part), parity_);
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
    }
    parity_ ^= 1;
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
  uint32_t out_, barriers_, parity_ = 0;
  float* factors_;
  T* biases_;
  int barrier_;
  float of_rows_[2][2];
};

#endif

}  // namespace tercel::kernels::cuda::wgmma
