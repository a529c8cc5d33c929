#pragma once
// CPU quotas of Linux control groups.

#include <string>

namespace tercel {

// The CPUs that the control groups named in `membership` (/proc/self/cgroup) allow, the smallest of
// the group's own quota and those of all groups above it; 0 when none is set or readable. `root` is
// where the hierarchies are mounted, /sys/fs/cgroup. Reads v2 cpu.max and v1 cpu.cfs_quota_us;
// fractions are kept.
double cgroup_cpu_quota(const std::string& membership, const std::string& root);

}  // namespace tercel
