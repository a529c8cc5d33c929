#pragma once
// How fast a device multiplies.

#include <string>

#include "tercel/dtype.h"

namespace tercel {

// Operations a second of large matrix products by the kernels that sessions use, with f32 held as
// `dtype`: some are made. Throws as find_device.
double measure_product_rate(const std::string& device, Dtype dtype);

}  // namespace tercel
