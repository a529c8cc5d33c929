#include "tercel/replicas.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#include "src/base/fail.h"
#include "src/base/thread_pool.h"

namespace tercel {
namespace {

std::vector<std::string> entries_of(const std::string& devices) {
  std::vector<std::string> entries;
  for (std::size_t begin = 0; begin <= devices.size();) {
    const std::size_t end = std::min(devices.find(',', begin), devices.size());
    entries.push_back(devices.substr(begin, end - begin));
    if (entries.back().empty()) {
      fail(Errc::invalid_argument,
           "devices = \"{}\": an entry is empty; expected a list such as \"cpu,cpu\"", devices);
    }
    begin = end + 1;
  }
  return entries;
}

}  // namespace

Replicas Replicas::load(const std::filesystem::path& path, const SessionOptions& options) {
  if (!options.placement.empty()) return Replicas({Session::load(path, options)});
  const std::vector<std::string> entries = entries_of(options.devices);
  const auto on_cpu = static_cast<int>(std::count(entries.begin(), entries.end(), "cpu"));
  const int share = std::max(1, available_cpus() / std::max(1, on_cpu));
  std::vector<Session> sessions;
  const Session* first_on_cpu = nullptr;
  sessions.reserve(entries.size());
  for (const std::string& entry : entries) {
    SessionOptions own = options;
    own.devices = entry;
    if (on_cpu > 1 && entry == "cpu" && own.threads == 0) own.threads = share;
    if (entry == "cpu" && first_on_cpu != nullptr) {
      sessions.push_back(first_on_cpu->replica(own.threads));
      continue;
    }
    sessions.push_back(Session::load(path, own));
    if (entry == "cpu") first_on_cpu = &sessions.back();
  }
  return Replicas(std::move(sessions));
}

Replicas Replicas::of(const Session& session, int count, int threads) {
  if (count < 1 || threads < 1) {
    fail(Errc::invalid_argument, "{} replicas of {} threads: expected at least one of one", count,
         threads);
  }
  const int own = session.options().threads == 0 ? available_cpus() : session.options().threads;
  if (count == 1 && threads == own) return Replicas({session});
  std::vector<Session> sessions;
  for (int i = 0; i < count; ++i) sessions.push_back(session.replica(threads));
  return Replicas(std::move(sessions));
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
