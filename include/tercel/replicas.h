#pragma once
// Data parallelism: the same model several times, on one device or many, and batches that go to
// whichever replica is free.
//
//   auto replicas = tercel::Replicas::load("model.onnx", {.devices = "cpu,cpu", .threads = 1});
//   auto outputs = replicas.run(batches);      // in the order of the batches

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tercel/export.h"
#include "tercel/session.h"

namespace tercel {

// A value with shared ownership, as Session is.
class TERCEL_API Replicas {
 public:
  // options.devices: a list with an entry for each replica, "cpu,cpu" or "cuda:0,cuda:1"; a device
  // may be named more than once. options.threads: of each replica; 0 divides the CPUs that the
  // process may use among the replicas on the CPU. Replicas on the CPU share one copy of the
  // weights. Throws as Session::load does.
  static Replicas load(const std::filesystem::path& path, const SessionOptions& options = {});

  // `count` replicas of `session`, a CPU's, with `threads` threads each. One replica with as many
  // threads as the session has is the session itself.
  static Replicas of(const Session& session, int count, int threads);

  std::size_t size() const { return sessions_.size(); }
  const Session& operator[](std::size_t index) const { return sessions_[index]; }

  // Calls work(session, item) once for each item of [0, items), on as many threads as there are
  // replicas, each with its own; a replica takes the next item when it is done with one. The
  // first exception reaches the caller once the replicas have ended what they were at.
  using Work = std::function<void(const Session& session, std::size_t item)>;
  void for_each(std::size_t items, const Work& work) const;

  // Runs every batch once; outputs in the order of the batches. Batches of about equal numbers of
  // tokens keep the replicas equally busy.
  std::vector<NamedTensors> run(std::span<const NamedTensors> batches,
                                const std::vector<std::string>& wanted = {},
                                const RunOptions& options = {}) const;

 private:
  explicit Replicas(std::vector<Session> sessions) : sessions_(std::move(sessions)) {}
  std::vector<Session> sessions_;  // one or more
};

}  // namespace tercel
