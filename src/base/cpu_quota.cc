#include "src/base/cpu_quota.h"

#include <fstream>

namespace tercel {
namespace {

double quota_v2(const std::string& directory) {
  std::ifstream file(directory + "/cpu.max");
  double quota = 0;
  double period = 0;
  if (!(file >> quota >> period) || quota <= 0 || period <= 0) return 0;  // "max 100000": no quota
  return quota / period;
}

double quota_v1(const std::string& directory) {
  double quota = 0;
  double period = 0;
  if (!(std::ifstream(directory + "/cpu.cfs_quota_us") >> quota) || quota <= 0) return 0;
  if (!(std::ifstream(directory + "/cpu.cfs_period_us") >> period) || period <= 0) return 0;
  return quota / period;
}

double smaller(double a, double b) {
  if (a == 0) return b;
  return b == 0 || a < b ? a : b;
}

// A container often sees a path of the host's that does not exist inside it: missing files set no
// limit, and the walk ends at the mount, which is the container's own group.
double smallest_up_to_root(const std::string& mount, std::string path,
                           double (*quota)(const std::string&)) {
  if (path.find("..") != std::string::npos) path.clear();
  while (path.ends_with('/')) path.pop_back();
  double limit = quota(mount + path);
  while (!path.empty()) {
    path.erase(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
    limit = smaller(limit, quota(mount + path));
  }
  return limit;
}

bool lists_cpu(const std::string& controllers) {
  return ("," + controllers + ",").find(",cpu,") != std::string::npos;
}

}  // namespace

double cgroup_cpu_quota(const std::string& membership, const std::string& root) {
  std::ifstream file(membership);
  double limit = 0;
  for (std::string line; std::getline(file, line);) {  // hierarchy:controllers:path
    const auto first = line.find(':');
    const auto second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    if (controllers.empty()) {
      limit = smaller(limit, smallest_up_to_root(root, path, quota_v2));
      limit = smaller(limit, smallest_up_to_root(root + "/unified", path, quota_v2));
    } else if (lists_cpu(controllers)) {
      limit = smaller(limit, smallest_up_to_root(root + "/" + controllers, path, quota_v1));
      limit = smaller(limit, smallest_up_to_root(root + "/cpu", path, quota_v1));
    }
  }
  return limit;
}

}  // namespace tercel
