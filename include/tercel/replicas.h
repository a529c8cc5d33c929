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
#include <vector>

#include "tercel/export.h"
#include "tercel/session.h"

namespace tercel {

// A value with shared ownership, as Session is.
class TERCEL_API Replicas {
 public:
  // options.devices: a list with an entry for each replica, "cpu,cpu" or "cuda:0,cuda:1"; a device
  // may be named more than once. options.threads: of each replica; 0 divides the CPUs that the
  // process may use among the replicas on the CPU. These share one copy of the weights; on a
  // machine of several NUMA nodes, if there are as many replicas as nodes at least and options.cpus
  // is empty, they are dealt over the nodes, stay on their node's CPUs (each one's options().cpus),
  // and share a copy with a cap on memory of its own for each node. Throws as Session::load does.
  static Replicas load(const std::filesystem::path& path, const SessionOptions& options = {});

  // Sessions of one model that were made otherwise; one at least.
  explicit Replicas(std::vector<Session> sessions);

  // On the CPU: so many replicas in the place of each, which share its weights and its threads.
  Replicas split(int parts) const;

  std::size_t size() const { return sessions_.size(); }
  const Session& operator[](std::size_t index) const { return sessions_[index]; }
  // NUMA nodes that they were dealt over; 1 when they were not.
  std::size_t nodes() const;

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
  std::vector<Session> sessions_;  // one or more
};

}  // namespace tercel
