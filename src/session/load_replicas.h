#pragma once
// Replicas on NUMA nodes that are given.

#include <filesystem>
#include <vector>

#include "src/base/numa.h"
#include "tercel/replicas.h"

namespace tercel {

// As Replicas::load, on these nodes instead of the machine's.
Replicas load_replicas(const std::filesystem::path& path, const SessionOptions& options,
                       const std::vector<CpuList>& nodes);

}  // namespace tercel
