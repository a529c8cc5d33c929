#pragma once
// Attention's products by Hopper's tensor cores: queries, keys and values in shared memory, weights
// in registers.

#include "src/kernels/cuda/attention_rows.cuh"
#include "src/kernels/cuda/hopper.cuh"

namespace tercel::kernels::cuda {

// As hopper.cuh wants them: 64 rows of 64 elements a part. Size: of a head, a multiple of 64.
template <int Size>
struct SwizzledTiles {
  static constexpr int kKeys = 64;
  static constexpr int kChunks = Size / 8;
  static constexpr int kPart = 64 * 128;
  static constexpr int kQueryBytes = Size / 64 * kPart;
  static constexpr int kKeyBytes = kQueryBytes;
  static constexpr int kSharedBytes = kQueryBytes + 4 * kKeyBytes;

  static __device__ __forceinline__ uint32_t place(int row, int chunk) {
    return static_cast<uint32_t>(chunk / 8 * kPart + row * 128 + (chunk % 8 ^ row % 8) * 16);
  }
};

// Four warps together. Compiled for sm_90a; elsewhere it does nothing, and is not launched.
template <class T, int Size>
struct AttentionGroup : AttentionRows<T, Size, SwizzledTiles<Size>::kKeys> {
  using Tiles = SwizzledTiles<Size>;
  using Rows = AttentionRows<T, Size, Tiles::kKeys>;
  using Rows::out, Rows::scores;
  static constexpr int kBlocks = Size == 64 ? 4 : 2;  // of a multiprocessor

  static __device__ __forceinline__ void publish() {
#if defined(TERCEL_HOPPER)
    publish_shared();
#endif
  }
  __device__ __forceinline__ void load_queries(uint32_t) {}

  __device__ __forceinline__ void multiply_keys([[maybe_unused]] uint32_t q,
                                                [[maybe_unused]] uint32_t k) {
#if defined(TERCEL_HOPPER)
    q = uniform(q);
    k = uniform(k);
    begin_products();
#pragma unroll
    for (int step = 0; step < Size / 16; ++step) {
      const uint32_t part = static_cast<uint32_t>(step / 4 * Tiles::kPart);
      multiply_keys_tile<T>(scores, descriptor(q + part) + 2 * (step % 4),
                            descriptor(k + part) + 2 * (step % 4), step > 0);
    }
    commit_products();
    wait_for_products<0>();
#endif
  }

  __device__ __forceinline__ void multiply_values([[maybe_unused]] uint32_t v) {
#if defined(TERCEL_HOPPER)
    v = uniform(v);
    uint32_t weights[Tiles::kKeys / 16][4];
#pragma unroll
    for (int j = 0; j < Tiles::kKeys / 16; ++j) Rows::weights_of(j, weights[j]);
    begin_products();
#pragma unroll
    for (int j = 0; j < Tiles::kKeys / 16; ++j)
#pragma unroll
      for (int part = 0; part < Size / 64; ++part)
        multiply_values_tile<T>(reinterpret_cast<float(&)[8][4]>(out[8 * part]), weights[j],
                                descriptor(v + part * Tiles::kPart) + 128 * j);
    commit_products();
    wait_for_products<0>();
#endif
  }
};

}  // namespace tercel::kernels::cuda
