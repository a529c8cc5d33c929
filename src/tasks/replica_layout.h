#pragma once
// How many replicas of how many threads compute most on the CPUs of this process.

#include <functional>

#include "tercel/replicas.h"

namespace tercel::tasks {

// Runs a typical batch on a session.
using TryBatch = std::function<void(const Session& session)>;

// Times the batch on one replica with all threads, on two with half of them each, and so on, for
// about a second, and gives the fastest. `session` has the threads of one replica.
Replicas fastest_replicas(const Session& session, const TryBatch& run);

}  // namespace tercel::tasks
