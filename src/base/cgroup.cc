#include "src/base/cgroup.h"

#include <fstream>

namespace tercel {
namespace {

// "max", or a file that is not there, sets no limit: 0.
double number_in(const std::string& path) {
  double value = 0;
  return std::ifstream(path) >> value && value > 0 ? value : 0;
}

double quota_v2(const std::string& directory) {
  std::ifstream file(directory + "/cpu.max");
  double quota = 0;
  double period = 0;
  if (!(file >> quota >> period) || quota <= 0 || period <= 0) return 0;  // "max 100000": no quota
  return quota / period;
}

double quota_v1(const std::string& directory) {
  const double quota = number_in(directory + "/cpu.cfs_quota_us");
  const double period = number_in(directory + "/cpu.cfs_period_us");
  return period > 0 ? quota / period : 0;
}

double memory_v2(const std::string& directory) { return number_in(directory + "/memory.max"); }

double memory_v1(const std::string& directory) {
  return number_in(directory + "/memory.limit_in_bytes");
}

// One resource: the name of its controller, and how a group's directory tells its limit.
struct Resource {
  std::string name;
  double (*limit_v1)(const std::string& directory);
  double (*limit_v2)(const std::string& directory);
};

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

bool lists(const std::string& controllers, const std::string& name) {
  return ("," + controllers + ",").find("," + name + ",") != std::string::npos;
}

double smallest_limit(const std::string& membership, const std::string& root,
                      const Resource& resource) {
  std::ifstream file(membership);
  double limit = 0;
  for (std::string line; std::getline(file, line);) {  // hierarchy:controllers:path
    const auto first = line.find(':');
    const auto second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    const auto take = [&](const std::string& mount, double (*read)(const std::string&)) {
      limit = smaller(limit, smallest_up_to_root(mount, path, read));
    };
    if (controllers.empty()) {
      take(root, resource.limit_v2);
      take(root + "/unified", resource.limit_v2);
    } else if (lists(controllers, resource.name)) {
      take(root + "/" + controllers, resource.limit_v1);
      take(root + "/" + resource.name, resource.limit_v1);
    }
  }
  return limit;
}

}  // namespace

double cgroup_cpu_quota(const std::string& membership, const std::string& root) {
  return smallest_limit(membership, root, {"cpu", quota_v1, quota_v2});
}

double cgroup_memory_limit(const std::string& membership, const std::string& root) {
  return smallest_limit(membership, root, {"memory", memory_v1, memory_v2});
}

}  // namespace tercel
