#pragma once
// Which of several ways to compute the same is the fastest here: they are measured.

#include <algorithm>
#include <array>

#include "src/kernels/cuda/launch.h"

namespace tercel::kernels::cuda {

// Of two measurements of the same.
inline constexpr float kNoise = 0.97F;

// The fastest of those that can run, as they follow one another in a CUDA graph: launched one by
// one, short kernels take as long as the host needs for them. The first to enter is what runs
// untuned: others must be faster by more than noise. A choice has a flag `measured`.
template <class Choice>
class Race {
 public:
  // What `earlier` has queued comes first.
  explicit Race(cudaStream_t earlier, float margin = kNoise) : margin_(margin) {
    check_cuda(cudaStreamSynchronize(earlier), "cudaStreamSynchronize");
    check_cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
    check_cuda(cudaEventCreate(&begin_), "cudaEventCreate");
    check_cuda(cudaEventCreate(&end_), "cudaEventCreate");
  }
  ~Race() {
    if (begin_ != nullptr) cudaEventDestroy(begin_);
    if (end_ != nullptr) cudaEventDestroy(end_);
    if (stream_ != nullptr) cudaStreamDestroy(stream_);
  }
  Race(const Race&) = delete;
  Race& operator=(const Race&) = delete;

  // Where those that enter run.
  cudaStream_t stream() const { return stream_; }

  // `run` queues one run, or says that it cannot.
  template <class Run>
  void enter(const Choice& choice, Run&& run) {
    const float time = measured(run);
    if (time < 0.0F || (least_ >= 0.0F && time >= least_ * (first_leads_ ? margin_ : 1.0F))) return;
    first_leads_ = least_ < 0.0F;
    least_ = time;
    best_ = choice;
    best_.measured = true;
  }
  bool won() const { return least_ >= 0.0F; }
  const Choice& best() const { return best_; }

 private:
  static constexpr int kTogether = 8;  // runs in a graph
  static constexpr int kTimes = 5;

  // The median, in milliseconds; negative when it cannot run.
  template <class Run>
  float measured(Run&& run) {
    if (!run()) return -1.0F;  // modules are loaded before anything is recorded
    check_cuda(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
    cudaGraphExec_t graph = recorded(run);
    if (graph == nullptr) return -1.0F;
    std::array<float, kTimes> times{};
    cudaError_t result = cudaGraphLaunch(graph, stream_);
    for (float& time : times) {
      cudaEventRecord(begin_, stream_);
      if (result == cudaSuccess) result = cudaGraphLaunch(graph, stream_);
      cudaEventRecord(end_, stream_);
      if (result == cudaSuccess) result = cudaEventSynchronize(end_);
      if (result == cudaSuccess) result = cudaEventElapsedTime(&time, begin_, end_);
    }
    cudaGraphExecDestroy(graph);
    check_cuda(result, "measuring what is fastest");
    std::sort(times.begin(), times.end());
    return times[kTimes / 2] / kTogether;
  }

  // Null when it cannot run.
  template <class Run>
  cudaGraphExec_t recorded(Run&& run) {
    check_cuda(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "capture");
    cudaGraph_t graph = nullptr;
    bool runs = true;
    try {
      for (int i = 0; i < kTogether && runs; ++i) runs = run();
    } catch (...) {
      cudaStreamEndCapture(stream_, &graph);
      cudaGraphDestroy(graph);
      throw;
    }
    check_cuda(cudaStreamEndCapture(stream_, &graph), "capture");
    cudaGraphExec_t exec = nullptr;
    const cudaError_t result = runs ? cudaGraphInstantiate(&exec, graph, 0) : cudaSuccess;
    cudaGraphDestroy(graph);
    check_cuda(result, "cudaGraphInstantiate");
    return exec;
  }

  cudaStream_t stream_ = nullptr;
  cudaEvent_t begin_ = nullptr, end_ = nullptr;
  float margin_;
  bool first_leads_ = false;
  float least_ = -1.0F;
  Choice best_;
};

}  // namespace tercel::kernels::cuda
