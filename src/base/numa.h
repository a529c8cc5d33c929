#pragma once
// Which CPUs there are, which of them are near the same memory, and threads that stay on some.

#include <filesystem>
#include <vector>

namespace tercel {

// Numbers of CPUs as the system gives them, ascending.
using CpuList = std::vector<int>;

// Those that the calling thread may run on; empty when that cannot be read.
CpuList allowed_cpus();

// The allowed ones of each NUMA node that has any, by the nodes' numbers. `root` has a folder
// node0, node1, … for each node, with its CPUs in the file `cpulist` ("0-3,8-11"). All are one node
// when a list is malformed, or the lists do not hold each allowed CPU once.
std::vector<CpuList> cpus_by_node(const std::filesystem::path& root = "/sys/devices/system/node");

// From here to the end of the scope the calling thread runs on these CPUs alone, and so do the
// threads that it starts meanwhile, as long as they last. Memory that they are the first to write
// to is taken from the node of these CPUs. It is a wish: no CPUs, or none that may be used, change
// nothing.
class OnCpus {
 public:
  explicit OnCpus(const CpuList& cpus);
  ~OnCpus();
  OnCpus(const OnCpus&) = delete;
  OnCpus& operator=(const OnCpus&) = delete;

 private:
  CpuList before_;  // empty: nothing was changed
};

}  // namespace tercel
