#pragma once
// A device that programs are made for where there is no GPU: its memory is the host's, and its
// kernels, those of libtercel_cuda.so, cannot run. Constants are only copied to it, so f32 stays
// f32.

#include <cstring>
#include <memory>
#include <string>

#include "src/device/memory.h"

namespace tercel {

class HostStream final : public Stream {
 public:
  void synchronize() override { ++synchronizations_; }
};

class HostDevice : public Device {
 public:
  DeviceKind kind() const override { return DeviceKind::cuda; }
  int index() const override { return 1000; }  // no machine's
  std::string name() const override { return "cuda"; }
  DeviceProperties properties() const override { return {}; }
  double measure_bandwidth() override { return 0; }
  std::shared_ptr<Allocator> make_allocator(std::size_t limit) override {
    return make_cpu_allocator(limit);
  }
  std::shared_ptr<Allocator> make_host_allocator(std::size_t limit) override {
    return make_cpu_allocator(limit);
  }
  std::unique_ptr<Stream> make_stream() override { return std::make_unique<HostStream>(); }
  void copy_from_host(void* to, const void* from, std::size_t bytes, Stream&) override {
    std::memcpy(to, from, bytes);
  }
  void copy_to_host(void* to, const void* from, std::size_t bytes, Stream&) override {
    std::memcpy(to, from, bytes);
  }
  void copy(void* to, const void* from, std::size_t bytes, Stream&) override {
    std::memcpy(to, from, bytes);
  }
};

// It outlives every test: the library keeps what belongs to a device for as long as the process
// lives.
inline Device& host_device() {
  static auto* const kDevice = new HostDevice();
  return *kDevice;
}

}  // namespace tercel
