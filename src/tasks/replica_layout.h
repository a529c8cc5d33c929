#pragma once
// How many replicas of how many threads compute most on the CPUs of this process.

#include <functional>

#include "tercel/replicas.h"

namespace tercel::tasks {

// Runs a typical batch on a session.
using TryBatch = std::function<void(const Session& session)>;

// Times the batch on replicas that have all threads together, one for each NUMA node, on twice as
// many with half the threads each, and so on, for about a second, and gives the fastest.
Replicas fastest_replicas(const Replicas& whole, const TryBatch& run);

}  // namespace tercel::tasks
