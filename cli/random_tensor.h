#pragma once
// Inputs out of thin air, for trying and timing models.

#include <random>
#include <string_view>

#include "tercel/tensor.h"

namespace tercel::cli {

// `description`: "2x128" or "2x128:f16" ("scalar" for rank 0). Floating-point numbers are uniform
// between -1 and 1 (f16 and bf16: between 0.5 and 1, with either sign), integers and booleans 0 or
// 1. Throws Errc::invalid_argument for a malformed description, Errc::unsupported for other types.
Tensor random_tensor(std::string_view description, Dtype dtype, std::mt19937_64& generator);

}  // namespace tercel::cli
