#pragma once
// What Linux control groups allow the process.

#include <string>

namespace tercel {

// The smallest of the limits of the control groups named in `membership` (/proc/self/cgroup) and of
// all groups above them; 0 when none is set or readable. `root` is where the hierarchies are
// mounted, /sys/fs/cgroup. Both versions of control groups are read.

// CPUs: cpu.max, or cpu.cfs_quota_us over cpu.cfs_period_us; fractions are kept.
double cgroup_cpu_quota(const std::string& membership, const std::string& root);

// Bytes: memory.max, or memory.limit_in_bytes.
double cgroup_memory_limit(const std::string& membership, const std::string& root);

}  // namespace tercel
