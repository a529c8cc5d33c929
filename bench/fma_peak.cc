#include "bench/fma_peak.h"

#include <algorithm>
#include <chrono>
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

// The empty statement makes each value unknown to the compiler, so that no step can be dropped.
#define TERCEL_CHAINS(vector, constraint, multiply_add)          \
  vector sum[kChains] = {};                                      \
  vector factor = {};                                            \
  for (int step = 0; step < kSteps; ++step) {                    \
    _Pragma("GCC unroll 12") for (int i = 0; i < kChains; ++i) { \
      sum[i] = multiply_add(factor, factor, sum[i]);             \
      __asm__ volatile("" : constraint(sum[i]));                 \
    }                                                            \
  }

#if defined(__x86_64__)
__attribute__((target("avx512f"))) double run_avx512() {
  TERCEL_CHAINS(__m512, "+v", _mm512_fmadd_ps)
  return 2.0 * 16 * kChains * kSteps;
}
__attribute__((target("avx2,fma"))) double run_avx2() {
  TERCEL_CHAINS(__m256, "+x", _mm256_fmadd_ps)
  return 2.0 * 8 * kChains * kSteps;
}
#endif

double run_generic() {
  typedef float Vector __attribute__((vector_size(16)));
  const auto multiply_add = [](Vector a, Vector b, Vector c) { return a * b + c; };
#if defined(__x86_64__)
  TERCEL_CHAINS(Vector, "+x", multiply_add)
#else
  TERCEL_CHAINS(Vector, "+w", multiply_add)
#endif
  return 2.0 * 4 * kChains * kSteps;
}

double run_best() {
#if defined(__x86_64__)
  if (best_cpu_isa() >= CpuIsa::avx512) return run_avx512();
  if (best_cpu_isa() >= CpuIsa::avx2) return run_avx2();
#endif
  return run_generic();
}

}  // namespace

double fma_peak() {
  static const double peak = [] {
    double best = 0;
    for (int i = 0; i < 30; ++i) {
      const auto begin = std::chrono::steady_clock::now();
      const double flops = run_best();
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
      best = std::max(best, flops / took.count());
    }
    return best;
  }();
  return peak;
}

double fma_peak(int threads) {
  double best = 0;
  for (int i = 0; i < 30; ++i) {
    std::vector<double> flops(threads);
    const auto begin = std::chrono::steady_clock::now();
    {
      std::vector<std::jthread> running;
      for (double& own : flops) running.emplace_back([&own] { own = run_best(); });
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    best = std::max(best, flops[0] * threads / took.count());
  }
  return best;
}

}  // namespace tercel
