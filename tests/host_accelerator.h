#pragma once
// An accelerator for machines without a GPU: its memory is the host's, its kernels are the CPU's.
// So what a program does with an accelerator runs anywhere, with f32 kept as f32.

#include <atomic>

#include "src/ops/cpu.h"
#include "src/runtime/accelerator.h"
#include "tercel/version.h"
#include "tests/host_device.h"

namespace tercel {

// Counts its copies.
class CountingDevice final : public HostDevice {
 public:
  void copy_from_host(void* to, const void* from, std::size_t bytes, Stream& stream) override {
    from_host += bytes;
    HostDevice::copy_from_host(to, from, bytes, stream);
  }
  void copy_to_host(void* to, const void* from, std::size_t bytes, Stream& stream) override {
    to_host += bytes;
    HostDevice::copy_to_host(to, from, bytes, stream);
  }
  void copy(void* to, const void* from, std::size_t bytes, Stream& stream) override {
    direct += bytes;
    HostDevice::copy(to, from, bytes, stream);
  }
  void connect(Device& other) override { connected = &other; }

  std::atomic<std::size_t> from_host{0}, to_host{0}, direct{0};  // bytes
  Device* connected = nullptr;
};

inline const CudaLibrary& host_library() {
  static const CudaLibrary kLibrary{
      version().data(), kCudaLibraryInterface, nullptr, &ops::cpu_kernel_table(), nullptr, nullptr,
      nullptr};
  return kLibrary;
}

struct HostAccelerator {
  CountingDevice device;
  runtime::Accelerator accelerator{device, host_library(), Dtype::f32};
};

}  // namespace tercel
