#pragma once
// The CUDA devices of this machine.

#include <memory>
#include <string>
#include <vector>

#include "src/device/memory.h"

namespace tercel::cuda {

// In the driver's order. None, and why in `missing`, where there is no driver, no device, or a
// driver that is too old.
std::vector<std::unique_ptr<Device>> open_devices(std::string& missing);

}  // namespace tercel::cuda
