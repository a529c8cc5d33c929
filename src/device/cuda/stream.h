#pragma once
// Queues of a CUDA device, and what is recorded of them (CUDA graphs).

#include <cuda_runtime_api.h>

#include "src/device/memory.h"

namespace tercel::cuda {

class CudaStream final : public Stream {
 public:
  explicit CudaStream(int device);
  ~CudaStream() override;
  CudaStream(const CudaStream&) = delete;
  CudaStream& operator=(const CudaStream&) = delete;

  void synchronize() override;
  void follow_default() override;
  void* native() const override { return stream_; }

 private:
  int device_;
  cudaStream_t stream_ = nullptr;
  cudaEvent_t followed_ = nullptr;  // made when it is first needed
};

class CudaEvent final : public Event {
 public:
  explicit CudaEvent(int device);
  ~CudaEvent() override;
  CudaEvent(const CudaEvent&) = delete;
  CudaEvent& operator=(const CudaEvent&) = delete;

  void record(Stream& stream) override;
  void synchronize() override;

 private:
  int device_;
  cudaEvent_t event_ = nullptr;
};

inline cudaStream_t native(const Stream& stream) {
  return static_cast<cudaStream_t>(stream.native());
}

// What `work` puts into the stream, which must be of the calling thread's device.
std::unique_ptr<Recording> record(Stream& stream, FunctionRef<void()> work);

}  // namespace tercel::cuda
