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

Replicas fastest_replicas(const Replicas& whole, const TryBatch& run) {
  const auto speed_of = [&](const Replicas& replicas) {
    return static_cast<double>(replicas.size()) / seconds_of(replicas, run);
  };
  const int threads = available_cpus() / static_cast<int>(whole.size());
  Replicas best = whole;
  double most = speed_of(best);
  for (int parts = 2; parts <= threads; parts *= 2) {
    Replicas next = whole.split(parts);
    const double speed = speed_of(next);
    if (speed > most) {
      most = speed;
      best = std::move(next);
    }
  }
  return best;
}

}  // namespace tercel::tasks
