#pragma once
// What compute capability 9.0 has for large tiles (PTX ISA): tensor cores fed from shared memory by
// four warps at once (wgmma), copies of whole tiles by the copy engine (cp.async.bulk.tensor,
// "TMA"), and the barriers in shared memory that count their bytes (mbarrier). Code that uses it is
// compiled for sm_90a alone: TERCEL_HOPPER is set there.

#include <cuda.h>

#include "src/kernels/cuda/mma.cuh"

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define TERCEL_HOPPER 1
#endif

namespace tercel::kernels::cuda {

constexpr int kWarpgroup = 128;  // threads

#if defined(TERCEL_HOPPER)

// The first lane's value, which is every lane's: the compiler is told, and keeps it and what comes
// of it in registers of the warp. What tells the tensor cores where a tile lies has to be there.
__device__ __forceinline__ uint32_t uniform(uint32_t value) { return __shfl_sync(~0U, value, 0); }

// --- Barriers: 8 bytes of shared memory, their address in `barrier`. A phase ends with the last
// arrival and the last expected byte; phases have parity 0, 1, 0, …

__device__ __forceinline__ void make_barrier(uint32_t barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals));
}
__device__ __forceinline__ void arrive_expecting(uint32_t barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes)
               : "memory");
}
// At the barrier that block `rank` of the cluster has at this address. It orders reads of the
// tensor cores, which have ended, and nothing that threads wrote: release for the cluster would
// wait for all of memory at each.
__device__ __forceinline__ void arrive_at(uint32_t barrier, uint32_t rank) {
  asm volatile(
      "{\n"
      ".reg .b32 there;\n"
      "mapa.shared::cluster.u32 there, %0, %1;\n"
      "mbarrier.arrive.shared::cluster.b64 _, [there];\n"
      "}" ::"r"(barrier),
      "r"(rank)
      : "memory");
}
// Until the phase of this parity has ended.
__device__ __forceinline__ void wait_for(uint32_t barrier, uint32_t parity) {
  asm volatile(
      "{\n"
      ".reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@done bra over;\n"
      "bra again;\n"
      "over:\n"
      "}" ::"r"(barrier),
      "r"(parity)
      : "memory");
}
// Barriers just made are seen by the other blocks of the cluster and by the copy engine.
__device__ __forceinline__ void publish_barriers() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
__device__ __forceinline__ uint32_t cluster_rank() {
  uint32_t rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
// All threads of all blocks of the cluster.
__device__ __forceinline__ void synchronize_cluster() {
  asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
  asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
}
// The threads of one warpgroup, by a barrier of its own (1 to 15).
__device__ __forceinline__ void synchronize_warpgroup(int id) {
  asm volatile("bar.sync %0, 128;" ::"r"(id) : "memory");
}

// --- The copy engine. Coordinates count elements, the innermost first; what lies outside the
// matrix is read as zeros and not written.

__device__ __forceinline__ void load_tile(uint32_t to, const CUtensorMap& map, uint32_t barrier,
                                          int x, int y, int z) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%3, %4, %5}], [%2];" ::"r"(to),
      "l"(&map), "r"(barrier), "r"(x), "r"(y), "r"(z)
      : "memory");
}
// To the same place in each block of the cluster that `blocks` has a bit for.
__device__ __forceinline__ void load_tile_to(uint16_t blocks, uint32_t to, const CUtensorMap& map,
                                             uint32_t barrier, int x, int y, int z) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes"
      ".multicast::cluster [%0], [%1, {%3, %4, %5}], [%2], %6;" ::"r"(to),
      "l"(&map), "r"(barrier), "r"(x), "r"(y), "r"(z), "h"(blocks)
      : "memory");
}
__device__ __forceinline__ void store_tile(const CUtensorMap& map, uint32_t from, int x, int y,
                                           int z) {
  asm volatile(
      "cp.async.bulk.tensor.3d.global.shared::cta.bulk_group [%0, {%2, %3, %4}], [%1];" ::"l"(&map),
      "r"(from), "r"(x), "r"(y), "r"(z)
      : "memory");
}
__device__ __forceinline__ void commit_stores() {
  asm volatile("cp.async.bulk.commit_group;" ::: "memory");
}
// Until the copy engine has read what this thread's stores take, but for the `Pending` latest.
template <int Pending>
__device__ __forceinline__ void wait_for_store_reads() {
  asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(Pending) : "memory");
}
__device__ __forceinline__ void wait_for_stores() {
  asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
}
// What this thread wrote to shared memory is seen by the copy engine and the tensor cores.
__device__ __forceinline__ void publish_shared() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

// --- Tensor cores. A tile in shared memory has rows of 128 bytes (64 elements, or 128 of E4M3)
// whose 16-byte chunks are swizzled as the copy engine does it (128B mode), rows along M or N, and
// begins at a multiple of 1024 bytes.

// Where chunk `chunk` of row `row` of such a tile lies.
__device__ __forceinline__ uint32_t swizzled(int row, int chunk) {
  return static_cast<uint32_t>(row * 128 + (chunk ^ row % 8) * 16);
}
// Its descriptor (PTX ISA, "Matrix Descriptor Format"); 8 rows lie 1024 bytes from the next 8. 32
// bytes along K further is + 2, 64 rows further + 512.
__device__ __forceinline__ uint64_t descriptor(uint32_t tile) {
  constexpr uint64_t kEightRows = 1024 >> 4, kSwizzle128 = 1;
  return (tile & 0x3FFFFU) >> 4 | uint64_t{1} << 16 | kEightRows << 32 | kSwizzle128 << 62;
}

__device__ __forceinline__ void begin_products() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ __forceinline__ void commit_products() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
// Until at most `Pending` of the latest groups of products are under way.
template <int Pending>
__device__ __forceinline__ void wait_for_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(Pending) : "memory");
}

// clang-format off
#define TERCEL_ACCUMULATORS_32                                                               \
  "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "                  \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "
#define TERCEL_SUMS_4(KIND, c) KIND((c)[0]), KIND((c)[1]), KIND((c)[2]), KIND((c)[3])
#define TERCEL_SUMS_32(KIND, c)                                                              \
  TERCEL_SUMS_4(KIND, (c)[0]), TERCEL_SUMS_4(KIND, (c)[1]), TERCEL_SUMS_4(KIND, (c)[2]),     \
  TERCEL_SUMS_4(KIND, (c)[3]), TERCEL_SUMS_4(KIND, (c)[4]), TERCEL_SUMS_4(KIND, (c)[5]),     \
  TERCEL_SUMS_4(KIND, (c)[6]), TERCEL_SUMS_4(KIND, (c)[7])
// Both operands in shared memory.
#define TERCEL_WGMMA_64x64(TYPE)                                                             \
  asm volatile("{\n.reg .pred keeps;\nsetp.ne.b32 keeps, %34, 0;\n"                         \
               "wgmma.mma_async.sync.aligned.m64n64k16.f32." TYPE "." TYPE " "               \
               TERCEL_ACCUMULATORS_32 "%32, %33, keeps, 1, 1, 0, 0;\n}"                      \
               : TERCEL_SUMS_32("+f", c) : "l"(a), "l"(b), "r"(keep))
// The left one in registers, the right one with rows along K.
#define TERCEL_WGMMA_64x64_DOWN(TYPE)                                                        \
  asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32." TYPE "." TYPE " "               \
               TERCEL_ACCUMULATORS_32 "{%32, %33, %34, %35}, %36, 1, 1, 1, 1;"               \
               : TERCEL_SUMS_32("+f", c)                                                     \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b))
// KIND: of a register with a sum. SCALES: whether A and B are as they are or negated, and transposed.
#define TERCEL_WGMMA_64x128(K, SUMS, TYPE, KIND, SCALES)                                     \
  asm volatile(                                                                              \
      "{\n.reg .pred keeps;\nsetp.ne.b32 keeps, %66, 0;\n"                                  \
      "wgmma.mma_async.sync.aligned.m64n128k" K "." SUMS "." TYPE "." TYPE " "               \
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "              \
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "     \
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "     \
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "    \
      "%64, %65, keeps" SCALES ";\n}"                                                        \
      : TERCEL_SUMS_32(KIND, c), TERCEL_SUMS_32(KIND, c + 8) : "l"(a), "l"(b), "r"(keep))
#define TERCEL_WGMMA_64x192(K, SUMS, TYPE, KIND, SCALES)                                     \
  asm volatile(                                                                              \
      "{\n.reg .pred keeps;\nsetp.ne.b32 keeps, %98, 0;\n"                                   \
      "wgmma.mma_async.sync.aligned.m64n192k" K "." SUMS "." TYPE "." TYPE " "               \
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "              \
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "     \
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "     \
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "     \
      "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "     \
      "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95}, "    \
      "%96, %97, keeps" SCALES ";\n}"                                                        \
      : TERCEL_SUMS_32(KIND, c), TERCEL_SUMS_32(KIND, c + 8), TERCEL_SUMS_32(KIND, c + 16)   \
      : "l"(a), "l"(b), "r"(keep))
// clang-format on

// What products of T are summed in.
template <class T>
using Accumulator = std::conditional_t<std::is_same_v<T, int8_t>, int, float>;

// c[64, N] (+)= a[64, 16] b[N, 16]ᵀ, or 32 elements of a byte, added to what c holds where `keep`
// is not 0. A thread holds c at rows 16 · warp + lane / 4 (+ 8 in the elements 2 and 3 of each 4),
// columns 8 · j + 2 (lane % 4) and the next in c[j].
template <class T, int Columns>
__device__ __forceinline__ void multiply_tile(Accumulator<T> (&c)[Columns / 8][4], uint64_t a,
                                              uint64_t b, int keep) {
  static_assert(Columns == 128 || Columns == 192);
#define TERCEL_WGMMA(...)               \
  do {                                  \
    if constexpr (Columns == 128)       \
      TERCEL_WGMMA_64x128(__VA_ARGS__); \
    else                                \
      TERCEL_WGMMA_64x192(__VA_ARGS__); \
  } while (false)
  if constexpr (std::is_same_v<T, Half>)
    TERCEL_WGMMA("16", "f32", "f16", "+f", ", 1, 1, 0, 0");
  else if constexpr (std::is_same_v<T, Bfloat>)
    TERCEL_WGMMA("16", "f32", "bf16", "+f", ", 1, 1, 0, 0");
  else if constexpr (std::is_same_v<T, int8_t>)
    TERCEL_WGMMA("32", "s32", "s8", "+r", "");
  else
    TERCEL_WGMMA("32", "f32", "e4m3", "+f", ", 1, 1");  // rows along M and N alone
#undef TERCEL_WGMMA
}
template <class T>
__device__ __forceinline__ void multiply_keys_tile(float (&c)[8][4], uint64_t a, uint64_t b,
                                                   int keep) {
  if constexpr (std::is_same_v<T, Half>)
    TERCEL_WGMMA_64x64("f16");
  else
    TERCEL_WGMMA_64x64("bf16");
}
// c[64, 64] += a[64, 16] b[16, 64]: a as mma.sync has it, 16 rows a warp; b's tile has rows along
// K, and 16 rows further is + 128.
template <class T>
__device__ __forceinline__ void multiply_values_tile(float (&c)[8][4], const uint32_t (&a)[4],
                                                     uint64_t b) {
  if constexpr (std::is_same_v<T, Half>)
    TERCEL_WGMMA_64x64_DOWN("f16");
  else
    TERCEL_WGMMA_64x64_DOWN("bf16");
}
#undef TERCEL_WGMMA_64x192
#undef TERCEL_WGMMA_64x128
#undef TERCEL_WGMMA_64x64_DOWN
#undef TERCEL_WGMMA_64x64
#undef TERCEL_SUMS_32
#undef TERCEL_SUMS_4
#undef TERCEL_ACCUMULATORS_32

// Four 8x8 matrices of 16-bit elements to shared memory, a row's address from each lane.
__device__ __forceinline__ void store_matrices(uint32_t row, const uint32_t (&from)[4]) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(row),
               "r"(from[0]), "r"(from[1]), "r"(from[2]), "r"(from[3])
               : "memory");
}

#endif

}  // namespace tercel::kernels::cuda
