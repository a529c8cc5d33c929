#pragma once
// Which of several ways to run a product is the fastest here: they are measured.

#include <algorithm>
#include <array>
#include <cstddef>

#include "src/kernels/cuda/cublas_lt.h"
#include "src/kernels/cuda/launch.h"

namespace tercel::kernels::cuda {

// How one shape runs: own tiles with so many parts of K, or an algorithm of cuBLASLt.
struct Choice {
  int splits = 0;  // 0: cuBLASLt
  cublasLtMatmulAlgo_t algorithm{};
};

// Of two measurements of the same.
inline constexpr float kNoise = 0.97F;

// The median of some runs, in milliseconds; negative when `run` says that it cannot.
template <class Run>
float measured(Run&& run, cudaStream_t stream) {
  constexpr int kRuns = 7;
  cudaEvent_t begin = nullptr, end = nullptr;
  check_cuda(cudaEventCreate(&begin), "cudaEventCreate");
  check_cuda(cudaEventCreate(&end), "cudaEventCreate");
  std::array<float, kRuns> times{};
  bool runs = run() && run();
  for (int i = 0; i < kRuns && runs; ++i) {
    check_cuda(cudaEventRecord(begin, stream), "cudaEventRecord");
    runs = run() && run() && run();
    check_cuda(cudaEventRecord(end, stream), "cudaEventRecord");
    check_cuda(cudaEventSynchronize(end), "cudaEventSynchronize");
    check_cuda(cudaEventElapsedTime(&times[static_cast<std::size_t>(i)], begin, end),
               "cudaEventElapsedTime");
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  std::sort(times.begin(), times.end());
  return runs ? times[kRuns / 2] : -1.0F;
}

// The fastest of those that can run. The first to enter is what runs untuned: others must be faster
// by more than noise.
class Race {
 public:
  explicit Race(cudaStream_t stream, float margin = kNoise) : stream_(stream), margin_(margin) {}

  template <class Run>
  void enter(const Choice& choice, Run&& run) {
    const float time = measured(run, stream_);
    if (time < 0.0F || (least_ >= 0.0F && time >= least_ * (first_leads_ ? margin_ : 1.0F))) return;
    first_leads_ = least_ < 0.0F;
    least_ = time;
    best_ = choice;
  }
  bool won() const { return least_ >= 0.0F; }
  const Choice& best() const { return best_; }

 private:
  cudaStream_t stream_;
  float margin_;
  bool first_leads_ = false;
  float least_ = -1.0F;
  Choice best_;
};

}  // namespace tercel::kernels::cuda
