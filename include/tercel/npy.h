#pragma once
// numpy's .npy files, versions 1 to 3 of the format
// (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html): little-endian numbers
// and booleans in C order.

#include <filesystem>
#include <string_view>

#include "tercel/export.h"
#include "tercel/tensor.h"

namespace tercel {

// Throws Errc::not_found, Errc::invalid_file for a malformed file, Errc::unsupported for an array
// that a tensor cannot hold.
TERCEL_API Tensor read_npy(const std::filesystem::path& path);

// bf16, which numpy has not, is written as f32. Throws Errc::unsupported for other types that numpy
// has not and for strings, Errc::io when the file cannot be written.
TERCEL_API void write_npy(const std::filesystem::path& path, const Tensor& tensor);

// Throws what write_npy would for this type.
TERCEL_API void check_npy_dtype(const Tensor& tensor, std::string_view name);

}  // namespace tercel
