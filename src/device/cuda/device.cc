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
    const auto memory = make_allocator(2 * kMeasured + 4096);
    return 2 * measure_copy(*memory, *memory);
  }

  double measure_transfer(Device& from) override {
    if (from.kind() == DeviceKind::cuda) connect(from);
    const auto memory = from.kind() == DeviceKind::cuda ? from.make_allocator(kMeasured + 4096)
                                                        : make_host_allocator(kMeasured + 4096);
    return measure_copy(*make_allocator(kMeasured + 4096), *memory);
  }

  std::shared_ptr<Allocator> make_allocator(std::size_t limit) override {
    return cuda::make_allocator(index_, Memory::device, limit);
  }
  std::shared_ptr<Allocator> make_host_allocator(std::size_t limit) override {
    return cuda::make_allocator(index_, Memory::host, limit);
  }
  std::unique_ptr<Stream> make_stream() override { return std::make_unique<CudaStream>(index_); }
  std::unique_ptr<Event> make_event() override { return std::make_unique<CudaEvent>(index_); }

  void copy_from_host(void* device, const void* host, std::size_t bytes, Stream& stream) override {
    copy_as(device, host, bytes, cudaMemcpyHostToDevice, stream);
  }
  void copy_to_host(void* host, const void* device, std::size_t bytes, Stream& stream) override {
    copy_as(host, device, bytes, cudaMemcpyDeviceToHost, stream);
  }
  void copy(void* to, const void* from, std::size_t bytes, Stream& stream) override {
    copy_as(to, from, bytes, cudaMemcpyDefault, stream);
  }

  void connect(Device& other) override {
    let_access(index_, other.index());
    let_access(other.index(), index_);
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
  static constexpr std::size_t kMeasured = std::size_t{256} << 20;  // bytes

  // Bytes a second.
  double measure_copy(Allocator& to_memory, Allocator& from_memory) {
    constexpr int kRepeats = 8;
    const auto to = to_memory.allocate(kMeasured, "measuring");
    const auto from = from_memory.allocate(kMeasured, "measuring");
    const CudaStream stream(index_);
    cudaEvent_t begin = nullptr;
    cudaEvent_t end = nullptr;
    check(cudaEventCreate(&begin), "cudaEventCreate");
    check(cudaEventCreate(&end), "cudaEventCreate");
    float best = 0;
    for (int i = 0; i < kRepeats; ++i) {
      cudaEventRecord(begin, native(stream));
      cudaMemcpyAsync(to->data(), from->data(), kMeasured, cudaMemcpyDefault, native(stream));
      cudaEventRecord(end, native(stream));
      check(cudaEventSynchronize(end), "cudaEventSynchronize");
      float milliseconds = 0;
      check(cudaEventElapsedTime(&milliseconds, begin, end), "cudaEventElapsedTime");
      best = i == 0 ? milliseconds : std::min(best, milliseconds);
    }
    cudaEventDestroy(begin);
    cudaEventDestroy(end);
    return static_cast<double>(kMeasured) / (best * 1e-3);
  }

  // Where it cannot, the driver copies by way of the host.
  static void let_access(int device, int peer) {
    int can = 0;
    check(cudaDeviceCanAccessPeer(&can, device, peer), "cudaDeviceCanAccessPeer");
    if (can == 0) return;
    check(cudaSetDevice(device), "cudaSetDevice");
    if (cudaDeviceEnablePeerAccess(peer, 0) != cudaSuccess) cudaGetLastError();  // it may have been
  }

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
