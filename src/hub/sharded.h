#pragma once
// Weights in several files: <name>.index.json says in "weight_map" which tensor is in which file.

#include <filesystem>
#include <memory>

#include "src/hub/weights.h"

namespace tercel::hub {

// The files of the index lie beside it and are read by `open`. Throws Errc::invalid_file when one
// is named by more than a file name, when a tensor is not in its file or is in two of them, or when
// the index names one twice; Errc::not_found for a file that is missing; and what `open` throws.
std::unique_ptr<WeightSource> open_sharded(
    const std::filesystem::path& index,
    std::unique_ptr<WeightSource> (*open)(const std::filesystem::path&));

}  // namespace tercel::hub
