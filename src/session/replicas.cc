#include "tercel/replicas.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "src/base/fail.h"
#include "src/base/thread_pool.h"
#include "src/session/load_replicas.h"
#include "src/session/options.h"

namespace tercel {
namespace {

int own_threads(const Session& session) {
  const SessionOptions& options = session.options();
  if (options.threads > 0) return options.threads;
  const auto cpus = static_cast<int>(options.cpus.size());
  return cpus == 0 ? available_cpus() : std::min(cpus, available_cpus());
}

// The replicas on the CPU, one after the other, of which there will be `count`.
class CpuReplicas {
 public:
  CpuReplicas(const std::filesystem::path& path, const SessionOptions& options, std::size_t count,
              const std::vector<CpuList>& nodes)
      : path_(path), options_(options), count_(count) {
    options_.devices = "cpu";
    const bool dealt = options.cpus.empty() && nodes.size() > 1 && nodes.size() <= count;
    if (dealt) {
      nodes_ = nodes;
    } else {
      nodes_ = {options.cpus};
    }
    firsts_.resize(nodes_.size());
  }

  Session next() {
    const std::size_t node = made_++ % nodes_.size();
    const int threads = options_.threads == 0 && count_ > 1 ? share_of(node) : options_.threads;
    std::optional<Session>& first = firsts_[node];
    if (first) return first->replica(threads);
    if (node > 0) {
      first = firsts_[0]->copy(nodes_[node], threads);
    } else {
      SessionOptions own = options_;
      own.cpus = nodes_[0];
      own.threads = threads;
      first = Session::load(path_, own);
    }
    return *first;
  }

 private:
  // Of the node's threads, for each replica there.
  int share_of(std::size_t node) const {
    const std::size_t on_node = (count_ + nodes_.size() - 1 - node) / nodes_.size();
    std::size_t threads = static_cast<std::size_t>(available_cpus());
    if (!nodes_[node].empty()) {
      threads = threads * nodes_[node].size() / std::max<std::size_t>(1, allowed_cpus().size());
    }
    return std::max(1, static_cast<int>(threads / on_node));
  }

  const std::filesystem::path& path_;
  SessionOptions options_;
  std::size_t count_;
  std::vector<CpuList> nodes_;  // those of each node; empty: the only one, and all that may be used
  std::vector<std::optional<Session>> firsts_;  // of each node
  std::size_t made_ = 0;
};

}  // namespace

Replicas load_replicas(const std::filesystem::path& path, const SessionOptions& options,
                       const std::vector<CpuList>& nodes) {
  if (!options.placement.empty()) return Replicas({Session::load(path, options)});
  const std::vector<std::string> entries = device_list(options.devices);
  const auto on_cpu = std::count(entries.begin(), entries.end(), "cpu");
  CpuReplicas cpu(path, options, static_cast<std::size_t>(on_cpu), nodes);
  std::vector<Session> sessions;
  for (const std::string& entry : entries) {
    if (entry == "cpu") {
      sessions.push_back(cpu.next());
      continue;
    }
    SessionOptions own = options;
    own.devices = entry;
    sessions.push_back(Session::load(path, own));
  }
  return Replicas(std::move(sessions));
}

Replicas Replicas::load(const std::filesystem::path& path, const SessionOptions& options) {
  return load_replicas(path, options, cpus_by_node());
}

Replicas::Replicas(std::vector<Session> sessions) : sessions_(std::move(sessions)) {
  if (sessions_.empty())
    fail(Errc::invalid_argument, "there are no sessions: expected one or more");
}

Replicas Replicas::split(int parts) const {
  if (parts < 1) fail(Errc::invalid_argument, "split({}): expected at least one part", parts);
  if (parts == 1) return *this;
  std::vector<Session> sessions;
  for (const Session& whole : sessions_) {
    const int threads = std::max(1, own_threads(whole) / parts);
    for (int part = 0; part < parts; ++part) sessions.push_back(whole.replica(threads));
  }
  return Replicas(std::move(sessions));
}

std::size_t Replicas::nodes() const {
  std::set<CpuList> places;
  for (const Session& session : sessions_) places.insert(session.options().cpus);
  return places.size();
}

void Replicas::for_each(std::size_t items, const Work& work) const {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr error;
  const auto serve = [&](const Session& session) {
    try {
      for (std::size_t item = next++; item < items; item = next++) work(session, item);
    } catch (...) {
      next = items;
      const std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
    }
  };
  std::vector<std::jthread> others;
  for (std::size_t i = 1; i < std::min(size(), items); ++i) {
    others.emplace_back(serve, std::cref(sessions_[i]));
  }
  serve(sessions_[0]);
  others.clear();
  if (error) std::rethrow_exception(error);
}

std::vector<NamedTensors> Replicas::run(std::span<const NamedTensors> batches,
                                        const std::vector<std::string>& wanted,
                                        const RunOptions& options) const {
  std::vector<NamedTensors> outputs(batches.size());
  for_each(batches.size(), [&](const Session& session, std::size_t item) {
    outputs[item] = session.run(batches[item], wanted, options);
  });
  return outputs;
}

}  // namespace tercel
