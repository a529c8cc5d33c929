#pragma once
// Memory of the card, and the time that kernels take on it.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "src/base/half.h"
#include "src/kernels/cuda/kernels.h"

namespace tercel::kernels::cuda {

class Memory {
 public:
  explicit Memory(std::size_t bytes) : bytes_(bytes) {
    check_cuda(cudaMalloc(&data_, bytes), "cudaMalloc");
    check_cuda(cudaMemset(data_, 0, bytes), "cudaMemset");
  }
  ~Memory() { cudaFree(data_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  void* get() const { return data_; }
  char* at(std::size_t byte) const { return static_cast<char*>(data_) + byte; }
  std::size_t bytes() const { return bytes_; }

 private:
  std::size_t bytes_;
  void* data_ = nullptr;
};

struct Bench {
  Dtype type = Dtype::f16;
  cudaStream_t stream = nullptr;
  GemmLibrary gemm;
  double bytes_per_second = 0, flops_per_second = 0;

  Bench() { check_cuda(cudaStreamCreate(&stream), "cudaStreamCreate"); }
  ~Bench() { cudaStreamDestroy(stream); }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  // Small random numbers; each fill is another.
  void fill(const Memory& memory) {
    static std::mt19937 random(7);
    std::vector<uint16_t> values(std::size_t{1} << 20);
    std::uniform_real_distribution<float> uniform(-0.05F, 0.05F);
    for (uint16_t& v : values)
      v = type == Dtype::f16 ? to_f16(uniform(random)).bits : to_bf16(uniform(random)).bits;
    for (std::size_t done = 0; done < memory.bytes(); done += 2 * values.size())
      check_cuda(
          cudaMemcpy(memory.at(done), values.data(),
                     std::min(2 * values.size(), memory.bytes() - done), cudaMemcpyHostToDevice),
          "cudaMemcpy");
  }

  // The median of 15 replays of a graph of `repeat` calls, in seconds a call.
  double time(const std::function<void()>& call, int repeat = 8) const {
    call();
    check_cuda(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t exec = nullptr;
    check_cuda(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capture");
    for (int i = 0; i < repeat; ++i) call();
    check_cuda(cudaStreamEndCapture(stream, &graph), "capture");
    check_cuda(cudaGraphInstantiate(&exec, graph, 0), "cudaGraphInstantiate");
    cudaEvent_t begin = nullptr, end = nullptr;
    check_cuda(cudaEventCreate(&begin), "cudaEventCreate");
    check_cuda(cudaEventCreate(&end), "cudaEventCreate");
    std::vector<float> times;
    for (int i = 0; i < 18; ++i) {
      check_cuda(cudaEventRecord(begin, stream), "cudaEventRecord");
      check_cuda(cudaGraphLaunch(exec, stream), "cudaGraphLaunch");
      check_cuda(cudaEventRecord(end, stream), "cudaEventRecord");
      check_cuda(cudaEventSynchronize(end), "cudaEventSynchronize");
      float milliseconds = 0;
      check_cuda(cudaEventElapsedTime(&milliseconds, begin, end), "cudaEventElapsedTime");
      if (i >= 3) times.push_back(milliseconds);
    }
    cudaEventDestroy(begin);
    cudaEventDestroy(end);
    cudaGraphExecDestroy(exec);
    cudaGraphDestroy(graph);
    std::sort(times.begin(), times.end());
    return times[times.size() / 2] * 1e-3 / repeat;
  }

  void row(const std::string& name, double seconds, double bytes, double flops) const {
    const double least = std::max(bytes / bytes_per_second, flops / flops_per_second);
    std::printf("%-44s %10.2f us %8.1f GB/s %8.1f TFLOP/s %5.1f %% of the limit\n", name.c_str(),
                seconds * 1e6, bytes / seconds * 1e-9, flops / seconds * 1e-12,
                100 * least / seconds);
    std::fflush(stdout);
  }
};

}  // namespace tercel::kernels::cuda
