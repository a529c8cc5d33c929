#include "src/device/cuda/stream.h"

#include "src/device/cuda/check.h"

namespace tercel::cuda {
namespace {

class Graph final : public Recording {
 public:
  explicit Graph(cudaGraph_t graph) {
    const cudaError_t made = cudaGraphInstantiate(&executable_, graph, 0);
    cudaGraphDestroy(graph);
    check(made, "cudaGraphInstantiate");
  }
  ~Graph() override { cudaGraphExecDestroy(executable_); }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  void replay(Stream& stream) override {
    check(cudaGraphLaunch(executable_, native(stream)), "cudaGraphLaunch");
  }

 private:
  cudaGraphExec_t executable_ = nullptr;
};

// Of a call that waited for the device.
void check_device(cudaError_t result, int device) {
  if (result == cudaSuccess) return;
  fail(Errc::internal, "cuda:{}: a fault of the device: {} ({}); the process cannot use it again",
       device, cudaGetErrorString(result), cudaGetErrorName(result));
}

}  // namespace

CudaStream::CudaStream(int device) : device_(device) {
  check(cudaSetDevice(device), "cudaSetDevice");
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
}

CudaStream::~CudaStream() {
  if (followed_ != nullptr) cudaEventDestroy(followed_);
  cudaStreamDestroy(stream_);
}

void CudaStream::follow_default() {
  if (followed_ == nullptr)
    check(cudaEventCreateWithFlags(&followed_, cudaEventDisableTiming), "cudaEventCreate");
  check(cudaEventRecord(followed_, cudaStreamLegacy), "cudaEventRecord");
  check(cudaStreamWaitEvent(stream_, followed_, 0), "cudaStreamWaitEvent");
}

void CudaStream::synchronize() {
  ++synchronizations_;
  check_device(cudaStreamSynchronize(stream_), device_);
}

CudaEvent::CudaEvent(int device) : device_(device) {
  check(cudaSetDevice(device), "cudaSetDevice");
  check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "cudaEventCreate");
}

CudaEvent::~CudaEvent() { cudaEventDestroy(event_); }

void CudaEvent::record(Stream& stream) {
  check(cudaEventRecord(event_, native(stream)), "cudaEventRecord");
}

void CudaEvent::synchronize() { check_device(cudaEventSynchronize(event_), device_); }

std::unique_ptr<Recording> record(Stream& stream, FunctionRef<void()> work) {
  const cudaStream_t queue = native(stream);
  check(cudaStreamBeginCapture(queue, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
  cudaGraph_t graph = nullptr;
  try {
    work();
  } catch (...) {
    cudaStreamEndCapture(queue, &graph);
    if (graph != nullptr) cudaGraphDestroy(graph);
    cudaGetLastError();
    throw;
  }
  check(cudaStreamEndCapture(queue, &graph), "cudaStreamEndCapture");
  return std::make_unique<Graph>(graph);
}

}  // namespace tercel::cuda
