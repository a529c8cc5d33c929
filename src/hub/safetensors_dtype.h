#pragma once
// The names of element types in safetensors headers.

#include <optional>
#include <string>
#include <string_view>

#include "tercel/dtype.h"

namespace tercel::hub {

std::optional<Dtype> dtype_of_safetensors(std::string_view name);

// Empty for a type that the format lacks.
std::string_view safetensors_name(Dtype dtype);

// "BOOL, U8, …", for messages.
std::string safetensors_dtypes();

}  // namespace tercel::hub
