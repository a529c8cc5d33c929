// Matrix products of each instruction set, in GFLOP/s and in percent of the f32 peak: chains of
// fused multiply-adds in registers, measured in the same process on as many threads.

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>
#include <sys/mman.h>

#include "bench/fma_peak.h"
#include "src/base/thread_pool.h"
#include "src/kernels/cpu/kernels.h"

namespace tercel {
namespace {

struct Shape {
  int64_t m, k, n;
};
constexpr Shape kShapes[] = {
    {512, 512, 512},   {128, 384, 384}, {128, 1536, 384}, {128, 384, 1536}, {128, 768, 3072},
    {4096, 384, 1536}, {512, 768, 768}, {512, 768, 3072}, {16, 384, 1536},  {16, 1536, 384},
    {4, 384, 384},     {1, 384, 384},   {1, 768, 3072}};

constexpr std::size_t kPage = std::size_t{2} << 20;

class Floats {
 public:
  explicit Floats(std::size_t bytes)
      : data_(static_cast<float*>(std::aligned_alloc(kPage, (bytes / kPage + 1) * kPage))) {
    ::madvise(data_, bytes / kPage * kPage, MADV_HUGEPAGE);  // as the allocator does
  }
  ~Floats() { std::free(data_); }
  Floats(const Floats&) = delete;
  Floats& operator=(const Floats&) = delete;
  float* get() { return data_; }

 private:
  float* data_;
};

void bench_gemm(benchmark::State& state, CpuIsa isa, int threads, Shape shape, Dtype packed) {
  const auto& kernels = kernels::cpu_kernels(isa).gemm;
  ThreadPool pool(threads);
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  Floats a(shape.m * shape.k * sizeof(float));
  Floats b(shape.k * shape.n * sizeof(float));
  Floats c(shape.m * shape.n * sizeof(float));
  Floats workspace(kernels.gemm_workspace(shape.m, threads));
  Floats weights(kernels.packed_bytes(shape.k, shape.n, packed));
  std::generate_n(a.get(), shape.m * shape.k, [&] { return uniform(random); });
  std::generate_n(b.get(), shape.k * shape.n, [&] { return uniform(random); });
  kernels.pack_b({.k = shape.k,
                  .n = shape.n,
                  .b = b.get(),
                  .k_stride = shape.n,
                  .packed = packed,
                  .out = weights.get()},
                 pool);
  const kernels::GemmArgs args{.m = shape.m,
                               .n = shape.n,
                               .k = shape.k,
                               .a = a.get(),
                               .a_row = shape.k,
                               .packed_b = weights.get(),
                               .packed = packed,
                               .c = c.get(),
                               .c_row = shape.n,
                               .workspace = workspace.get()};
  double best = 1e9;  // seconds: the machine may be shared, and its best is what the code can do
  for (auto _ : state) {
    const auto begin = std::chrono::steady_clock::now();
    kernels.gemm(args, pool);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    best = std::min(best, took.count());
  }
  const double flops = 2.0 * static_cast<double>(shape.m * shape.k * shape.n);
  state.counters["GFLOP/s"] = flops / best * 1e-9;
  state.counters["%peak"] = 100 * flops / best / (fma_peak() * threads);
}

// Few rows by a weight that no cache holds: how fast its packed bytes are read.
constexpr Shape kStreamed{1, 8192, 16384};
constexpr int64_t kStreamedGroup = 32;

void bench_stream(benchmark::State& state, CpuIsa isa, int threads, int64_t rows, Dtype packed) {
  const auto& kernels = kernels::cpu_kernels(isa).gemm;
  const auto [one, k, n] = kStreamed;
  ThreadPool pool(threads);
  Floats a(rows * k * sizeof(float));
  Floats c(rows * n * sizeof(float));
  Floats workspace(kernels.gemm_workspace(rows, threads));
  std::fill_n(a.get(), rows * k, 1.0F);
  const bool grouped = packed == Dtype::i4 || packed == Dtype::i8;
  const std::vector<std::byte> source(bytes_of(packed, k * n));
  const std::vector<float> scale(k / kStreamedGroup * n, 1.0F);
  kernels::PackGroupedArgs pack{
      .k = k, .n = n, .b = source.data(), .source = packed, .k_stride = n, .group = kStreamedGroup};
  pack.scale = scale.data();
  pack.scale_group = n;
  pack.scale_n = 1;
  const std::size_t bytes =
      grouped ? kernels.grouped_bytes(pack) : kernels.packed_bytes(k, n, packed);
  Floats weights(bytes);
  pack.out = weights.get();
  if (grouped) {
    kernels.pack_grouped(pack, pool);
  } else {
    kernels.pack_b({.k = k,
                    .n = n,
                    .b = source.data(),
                    .source = packed,
                    .k_stride = n,
                    .packed = packed,
                    .out = weights.get()},
                   pool);
  }
  const kernels::GemmArgs args{.m = rows,
                               .n = n,
                               .k = k,
                               .a = a.get(),
                               .a_row = k,
                               .packed_b = weights.get(),
                               .packed = packed,
                               .c = c.get(),
                               .c_row = n,
                               .workspace = workspace.get()};
  double best = 1e9;
  for (auto _ : state) {
    const auto begin = std::chrono::steady_clock::now();
    kernels.gemm(args, pool);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    best = std::min(best, took.count());
  }
  state.counters["GB/s"] = static_cast<double>(bytes) / best * 1e-9;
  state.counters["ms"] = best * 1e3;
}

std::string name_of(CpuIsa isa, int threads, Shape shape, Dtype packed,
                    const std::string& kind = "gemm") {
  const auto text = [](auto value) { return std::to_string(value); };
  return kind + "/" + std::string(to_string(isa)) + "/" + std::string(to_string(packed)) + "/" +
         text(shape.m) + "x" + text(shape.k) + "x" + text(shape.n) + "/threads:" + text(threads);
}

void register_all() {
  for (const CpuIsa isa : {CpuIsa::generic, CpuIsa::avx2, CpuIsa::avx512}) {
    if (isa > best_cpu_isa()) continue;
    for (int threads = 1; threads <= available_cpus(); threads *= 2) {
      for (const Shape shape : kShapes) {
        for (const Dtype packed : {Dtype::f32, Dtype::f16, Dtype::bf16}) {
          benchmark::RegisterBenchmark(
              name_of(isa, threads, shape, packed).c_str(),
              [=](benchmark::State& state) { bench_gemm(state, isa, threads, shape, packed); })
              ->UseRealTime();
        }
      }
      for (const int64_t rows : {1, 2, 4, 8, 16}) {
        for (const Dtype packed : {Dtype::f32, Dtype::f16, Dtype::i8, Dtype::i4}) {
          const Shape shape{rows, kStreamed.k, kStreamed.n};
          benchmark::RegisterBenchmark(
              name_of(isa, threads, shape, packed, "stream").c_str(),
              [=](benchmark::State& state) { bench_stream(state, isa, threads, rows, packed); })
              ->UseRealTime();
        }
      }
    }
  }
}

}  // namespace
}  // namespace tercel

int main(int argc, char** argv) {
  tercel::register_all();
  benchmark::Initialize(&argc, argv);
  benchmark::AddCustomContext("f32 peak of one thread",
                              std::to_string(tercel::fma_peak() * 1e-9) + " GFLOP/s");
  benchmark::RunSpecifiedBenchmarks();
}
