#include "tercel/devices.h"

#include <fmt/core.h>

#include "src/device/cuda_library.h"

namespace tercel {
namespace {

DeviceInfo describe(Device& device, bool measure) {
  const DeviceProperties own = device.properties();
  DeviceInfo info;
  info.name = device.name();
  info.model = own.model;
  info.memory = own.memory;
  info.free_memory = own.free_memory;
  info.processors = own.processors;
  if (own.capability > 0)
    info.capability = fmt::format("{}.{}", own.capability / 10, own.capability % 10);
  if (measure) info.bandwidth = device.measure_bandwidth();
  return info;
}

}  // namespace

DeviceList list_devices(bool measure) {
  DeviceList list;
  list.devices.push_back(describe(find_device("cpu"), measure));
  const CudaDevices& found = cuda_devices();
  for (const auto& device : found.devices) list.devices.push_back(describe(*device, measure));
  list.no_cuda = found.missing;
  return list;
}

}  // namespace tercel
