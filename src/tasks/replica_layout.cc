#include "src/tasks/replica_layout.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "src/base/thread_pool.h"

namespace tercel::tasks {
namespace {

using Clock = std::chrono::steady_clock;

// A round that is so long needs no repeating: the plan that it made, and chance, are little in it.
constexpr double kLongRound = 0.1;  // seconds

// Seconds for one batch on each replica, at best.
double seconds_of(const Replicas& replicas, const TryBatch& run) {
  double best = 0;
  // The first round makes the plans.
  for (int round = 0; round < 4; ++round) {
    const auto start = Clock::now();
    replicas.for_each(replicas.size(), [&](const Session& session, std::size_t) { run(session); });
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    if (seconds >= kLongRound) return round > 1 ? std::min(best, seconds) : seconds;
    if (round == 0) continue;
    best = round == 1 ? seconds : std::min(best, seconds);
  }
  return best;
}

}  // namespace

Replicas fastest_replicas(const Session& session, const TryBatch& run) {
  const int threads = available_cpus();
  Replicas best = Replicas::of(session, 1, threads);
  double most = 1 / seconds_of(best, run);
  for (int count = 2; count <= threads; count *= 2) {
    Replicas next = Replicas::of(session, count, threads / count);
    const double speed = count / seconds_of(next, run);
    if (speed > most) {
      most = speed;
      best = std::move(next);
    }
  }
  return best;
}

}  // namespace tercel::tasks
