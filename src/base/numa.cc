#include "src/base/numa.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <pthread.h>
#include <sched.h>

namespace tercel {
namespace {

bool run_on(const CpuList& cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int cpu : cpus) {
    if (cpu >= 0 && cpu < CPU_SETSIZE) CPU_SET(cpu, &set);
  }
  return ::pthread_setaffinity_np(::pthread_self(), sizeof(set), &set) == 0;
}

std::optional<int> number_of(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

// Those of `allowed` that the list "0-3,8" names; an empty list is that of a node without CPUs.
std::optional<CpuList> named_cpus(std::string_view list, const CpuList& allowed) {
  CpuList named;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    const std::string_view range = list.substr(0, end);
    list.remove_prefix(std::min(end + 1, list.size()));
    const std::size_t dash = std::min(range.find('-'), range.size());
    const auto first = number_of(range.substr(0, dash));
    const auto last = dash == range.size() ? first : number_of(range.substr(dash + 1));
    if (!first || !last || *last < *first) return std::nullopt;
    std::copy_if(allowed.begin(), allowed.end(), std::back_inserter(named),
                 [&](int cpu) { return *first <= cpu && cpu <= *last; });
  }
  return named;
}

}  // namespace

CpuList allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  CpuList cpus;
  if (::sched_getaffinity(0, sizeof(set), &set) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

std::vector<CpuList> cpus_by_node(const std::filesystem::path& root) {
  const CpuList allowed = allowed_cpus();
  const std::vector<CpuList> one{allowed};
  std::map<int, CpuList> nodes;
  CpuList all;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(root, error)) {
    const std::string name = entry.path().filename().string();
    const auto number = name.starts_with("node") ? number_of(name.substr(4)) : std::nullopt;
    if (!number) continue;
    std::string list;
    std::ifstream file(entry.path() / "cpulist");
    if (!file) return one;
    std::getline(file, list);
    auto cpus = named_cpus(list, allowed);
    if (!cpus) return one;
    all.insert(all.end(), cpus->begin(), cpus->end());
    if (!cpus->empty()) nodes[*number] = *std::move(cpus);
  }
  std::sort(all.begin(), all.end());
  if (all != allowed || nodes.empty()) return one;
  std::vector<CpuList> result;
  for (auto& [number, cpus] : nodes) result.push_back(std::move(cpus));
  return result;
}

OnCpus::OnCpus(const CpuList& cpus) {
  if (cpus.empty()) return;
  CpuList before = allowed_cpus();
  if (before != cpus && run_on(cpus)) before_ = std::move(before);
}

OnCpus::~OnCpus() {
  if (!before_.empty()) run_on(before_);
}

}  // namespace tercel
