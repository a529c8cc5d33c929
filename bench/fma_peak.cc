#include "bench/fma_peak.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "src/device/cpu_isa.h"

namespace tercel {
namespace {

constexpr int kChains = 12;
constexpr int kSteps = 200000;
constexpr int kRounds = 30;

// The empty statement makes each value unknown to the compiler, so that no step can be dropped.
#define TERCEL_CHAINS(vector, constraint, step_of)               \
  vector sum[kChains] = {};                                      \
  const vector factor = {};                                      \
  for (int step = 0; step < kSteps; ++step) {                    \
    _Pragma("GCC unroll 12") for (int i = 0; i < kChains; ++i) { \
      sum[i] = step_of(sum[i], factor);                          \
      __asm__ volatile("" : constraint(sum[i]));                 \
    }                                                            \
  }

#if defined(__x86_64__)
#define TERCEL_STEP(sum, x) _mm512_fmadd_ps(x, x, sum)
__attribute__((target("avx512f"))) double run_avx512() {
  TERCEL_CHAINS(__m512, "+v", TERCEL_STEP)
  return 2.0 * 16 * kChains * kSteps;
}
#undef TERCEL_STEP
#define TERCEL_STEP(sum, x) _mm256_fmadd_ps(x, x, sum)
__attribute__((target("avx2,fma"))) double run_avx2() {
  TERCEL_CHAINS(__m256, "+x", TERCEL_STEP)
  return 2.0 * 8 * kChains * kSteps;
}
#undef TERCEL_STEP
#define TERCEL_STEP(sum, x) _mm512_dpbf16_ps(sum, (__m512bh)(x), (__m512bh)(x))
__attribute__((target("avx512f,avx512bf16"))) double run_bf16() {
  TERCEL_CHAINS(__m512, "+v", TERCEL_STEP)
  return 2.0 * 32 * kChains * kSteps;
}
#undef TERCEL_STEP
#define TERCEL_STEP(sum, x) _mm512_dpbusd_epi32(sum, x, x)
__attribute__((target("avx512f,avx512vnni"))) double run_int8() {
  TERCEL_CHAINS(__m512i, "+v", TERCEL_STEP)
  return 2.0 * 64 * kChains * kSteps;
}
#undef TERCEL_STEP

// Tiles of AMX: 16 rows of 64 bytes by 16 columns, into four tiles of sums. (Their intrinsics want
// the instruction set for the whole file.)
constexpr int kTileSteps = 500000;
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t reserved[15] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16};
};
#define TERCEL_TILES(instruction)                                          \
  const TileConfig config;                                                 \
  __asm__ volatile("ldtilecfg %0" ::"m"(config));                          \
  for (int step = 0; step < kTileSteps; ++step) {                          \
    __asm__ volatile(instruction " %%tmm5, %%tmm4, %%tmm0\n\t" instruction \
                                 " %%tmm5, %%tmm4, %%tmm1\n\t" instruction \
                                 " %%tmm5, %%tmm4, %%tmm2\n\t" instruction \
                                 " %%tmm5, %%tmm4, %%tmm3" ::              \
                                     :);                                   \
  }                                                                        \
  __asm__ volatile("tilerelease");
double run_bf16_tiles() {
  TERCEL_TILES("tdpbf16ps")
  return 2.0 * 16 * 16 * 32 * 4 * kTileSteps;
}
double run_int8_tiles() {
  TERCEL_TILES("tdpbusd")
  return 2.0 * 16 * 16 * 64 * 4 * kTileSteps;
}
#undef TERCEL_TILES
#endif

double run_generic() {
  typedef float Vector __attribute__((vector_size(16)));
#define TERCEL_STEP(sum, x) ((x) * (x) + (sum))
#if defined(__x86_64__)
  TERCEL_CHAINS(Vector, "+x", TERCEL_STEP)
#else
  TERCEL_CHAINS(Vector, "+w", TERCEL_STEP)
#endif
#undef TERCEL_STEP
  return 2.0 * 4 * kChains * kSteps;
}

double run_f32() {
#if defined(__x86_64__)
  if (best_cpu_isa() >= CpuIsa::avx512) return run_avx512();
  if (best_cpu_isa() >= CpuIsa::avx2) return run_avx2();
#endif
  return run_generic();
}

double best_of(int threads, double (*run)()) {
  double best = 0;
  for (int i = 0; i < kRounds; ++i) {
    std::vector<double> operations(threads);
    const auto begin = std::chrono::steady_clock::now();
    {
      std::vector<std::jthread> running;
      for (double& own : operations) running.emplace_back([&own, run] { own = run(); });
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    best = std::max(best, operations[0] * threads / took.count());
  }
  return best;
}

}  // namespace

double fma_peak() {
  static const double peak = best_of(1, run_f32);
  return peak;
}

double fma_peak(int threads) { return best_of(threads, run_f32); }

double bf16_peak([[maybe_unused]] int threads) {
#if defined(__x86_64__)
  if (cpu_has(CpuIsa::amx)) return best_of(threads, run_bf16_tiles);
  if (cpu_has(CpuIsa::avx512_bf16)) return best_of(threads, run_bf16);
#endif
  return 0;
}

double int8_peak([[maybe_unused]] int threads) {
#if defined(__x86_64__)
  if (cpu_has(CpuIsa::amx)) return best_of(threads, run_int8_tiles);
  if (cpu_has(CpuIsa::avx512_vnni)) return best_of(threads, run_int8);
#endif
  return 0;
}

}  // namespace tercel
