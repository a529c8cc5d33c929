#pragma once

#include <string_view>

#include "tercel/export.h"

namespace tercel {

// The version of the library that runs, "0.1.0": major.minor.patch.
TERCEL_API std::string_view version();

}  // namespace tercel
