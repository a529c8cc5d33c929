#pragma once
// What this machine can run models on.

#include <cstddef>
#include <string>
#include <vector>

#include "tercel/export.h"

namespace tercel {

struct DeviceInfo {
  std::string name;   // as SessionOptions::devices takes it: "cpu", "cuda:0"
  std::string model;  // "NVIDIA H100 80GB HBM3"; of the CPU the instruction set that kernels use
  std::size_t memory = 0;       // bytes
  std::size_t free_memory = 0;  // bytes
  int processors = 0;           // CPUs that the process may use; multiprocessors of a GPU
  std::string capability;       // of a GPU: "9.0"
  double bandwidth = 0;  // bytes a second, read and written, of a large copy; 0 when not measured
};

struct DeviceList {
  std::vector<DeviceInfo> devices;  // the CPU first
  std::string no_cuda;              // why there is no GPU among them; empty when there is one
};

// `measure`: also each device's bandwidth, which takes some tenths of a second.
TERCEL_API DeviceList list_devices(bool measure = false);

}  // namespace tercel
