#include "src/device/cuda/device.h"

#include <algorithm>

#include <cuda.h>

#include "src/device/cuda/allocator.h"
#include "src/device/cuda/check.h"
#include "src/device/cuda/stream.h"

namespace tercel::cuda {
namespace {

// 13.0 is 13000 in the driver's and the runtime's words.
std::string version_text(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

// Of the driver, which is not linked: it may not be there.
using WriteValue = CUresult(CUstream, CUdeviceptr, cuuint32_t, unsigned int);
WriteValue* find_write_value() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found{};
  const cudaError_t result = cudaGetDriverEntryPointByVersion(
      "cuStreamWriteValue32", &function, CUDA_VERSION, cudaEnableDefault, &found);
  return result == cudaSuccess && found == cudaDriverEntryPointSuccess
             ? reinterpret_cast<WriteValue*>(function)
             : nullptr;
}

class CudaDevice final : public Device {
 public:
  explicit CudaDevice(int index) : index_(index), write_value_(find_write_value()) {}

  DeviceKind kind() const override { return DeviceKind::cuda; }
  int index() const override { return index_; }
  std::string name() const override { return fmt::format("cuda:{}", index_); }

  DeviceProperties properties() const override {
    cudaDeviceProp own{};
    check(cudaGetDeviceProperties(&own, index_), "cudaGetDeviceProperties");
    DeviceProperties properties;
    properties.model = own.name;
    properties.memory = own.totalGlobalMem;
    properties.capability = 10 * own.major + own.minor;
    properties.processors = own.multiProcessorCount;
    std::size_t total = 0;
    check(cudaSetDevice(index_), "cudaSetDevice");
    check(cudaMemGetInfo(&properties.free_memory, &total), "cudaMemGetInfo");
    return properties;
  }

  double measure_bandwidth() override {
    use();
    constexpr std::size_t kBytes = std::size_t{256} << 20;
    constexpr int kRepeats = 8;
    const auto memory = make_allocator(kBytes * 2 + 4096);
    const auto from = memory->allocate(kBytes, "measuring");
    const auto to = memory->allocate(kBytes, "measuring");
    const CudaStream stream(index_);
    cudaEvent_t begin = nullptr;
    cudaEvent_t end = nullptr;
    check(cudaEventCreate(&begin), "cudaEventCreate");
    check(cudaEventCreate(&end), "cudaEventCreate");
    float best = 0;
    for (int i = 0; i < kRepeats; ++i) {
      cudaEventRecord(begin, native(stream));
      cudaMemcpyAsync(to->data(), from->data(), kBytes, cudaMemcpyDeviceToDevice, native(stream));
      cudaEventRecord(end, native(stream));
      check(cudaEventSynchronize(end), "cudaEventSynchronize");
      float milliseconds = 0;
      check(cudaEventElapsedTime(&milliseconds, begin, end), "cudaEventElapsedTime");
      best = i == 0 ? milliseconds : std::min(best, milliseconds);
    }
    cudaEventDestroy(begin);
    cudaEventDestroy(end);
    return 2 * static_cast<double>(kBytes) / (best * 1e-3);
  }

  std::shared_ptr<Allocator> make_allocator(std::size_t limit) override {
    return cuda::make_allocator(index_, Memory::device, limit);
  }
  std::shared_ptr<Allocator> make_host_allocator(std::size_t limit) override {
    return cuda::make_allocator(index_, Memory::host, limit);
  }
  std::unique_ptr<Stream> make_stream() override { return std::make_unique<CudaStream>(index_); }

  void copy_from_host(void* device, const void* host, std::size_t bytes, Stream& stream) override {
    copy_as(device, host, bytes, cudaMemcpyHostToDevice, stream);
  }
  void copy_to_host(void* host, const void* device, std::size_t bytes, Stream& stream) override {
    copy_as(host, device, bytes, cudaMemcpyDeviceToHost, stream);
  }
  void copy(void* to, const void* from, std::size_t bytes, Stream& stream) override {
    copy_as(to, from, bytes, cudaMemcpyDeviceToDevice, stream);
  }

  void use() override { check(cudaSetDevice(index_), "cudaSetDevice"); }

  void mark(uint32_t* place, uint32_t value, Stream& stream) override {
    if (write_value_ == nullptr) return;
    write_value_(native(stream), reinterpret_cast<CUdeviceptr>(place), value, 0);
  }

  std::unique_ptr<Recording> record(Stream& stream, FunctionRef<void()> work) override {
    return cuda::record(stream, work);
  }

 private:
  static void copy_as(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                      Stream& stream) {
    if (bytes > 0) check(cudaMemcpyAsync(to, from, bytes, kind, native(stream)), "cudaMemcpyAsync");
  }

  int index_;
  WriteValue* write_value_;
};

}  // namespace

std::vector<std::unique_ptr<Device>> open_devices(std::string& missing) {
  int driver = 0;
  cudaDriverGetVersion(&driver);
  int count = 0;
  const cudaError_t result = driver > 0 ? cudaGetDeviceCount(&count) : cudaSuccess;
  cudaGetLastError();
  if (driver == 0) {
    missing = "no NVIDIA driver: install one, or use devices = cpu";
  } else if (result == cudaErrorInsufficientDriver) {
    missing = fmt::format("the NVIDIA driver is for CUDA {}; Tercel needs one for {} or newer",
                          version_text(driver), version_text(CUDART_VERSION));
  } else if (result != cudaSuccess && result != cudaErrorNoDevice) {
    missing = fmt::format("the NVIDIA driver says: {} ({})", cudaGetErrorString(result),
                          cudaGetErrorName(result));
  } else if (count == 0) {
    missing = "the NVIDIA driver sees no device (is CUDA_VISIBLE_DEVICES set?); use devices = cpu";
  }
  std::vector<std::unique_ptr<Device>> devices;
  if (!missing.empty()) return devices;
  for (int i = 0; i < count; ++i) devices.push_back(std::make_unique<CudaDevice>(i));
  return devices;
}

}  // namespace tercel::cuda
