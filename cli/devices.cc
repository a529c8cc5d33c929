#include "tercel/devices.h"

#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/files.h"
#include "cli/json.h"

namespace tercel::cli {
namespace {

struct DevicesOptions {
  bool measure = false;
  bool json = false;
};

constexpr double kGigabyte = 1e9;

Json to_json(const DeviceList& list) {
  Json devices = Json::array();
  for (const DeviceInfo& device : list.devices) {
    Json entry{{"name", device.name},
               {"model", device.model},
               {"memory", device.memory},
               {"free_memory", device.free_memory},
               {"processors", device.processors}};
    if (!device.capability.empty()) entry["capability"] = device.capability;
    if (device.bandwidth > 0) entry["bandwidth"] = device.bandwidth;
    devices.push_back(std::move(entry));
  }
  Json answer{{"devices", devices}};
  if (!list.no_cuda.empty()) answer["no_cuda"] = list.no_cuda;
  return answer;
}

std::string plain_text(const DeviceList& list) {
  std::string text;
  for (const DeviceInfo& device : list.devices) {
    text += fmt::format(
        "{:<8} {}{}: {:.1f} GB, {:.1f} GB free, {} {}{}\n", device.name, device.model,
        device.capability.empty() ? "" : " (" + device.capability + ")",
        static_cast<double>(device.memory) / kGigabyte,
        static_cast<double>(device.free_memory) / kGigabyte, device.processors,
        device.capability.empty() ? "CPUs" : "multiprocessors",
        device.bandwidth > 0 ? fmt::format(", copies {:.1f} GB/s", device.bandwidth / kGigabyte)
                             : "");
  }
  if (!list.no_cuda.empty()) text += "no GPU:  " + list.no_cuda + "\n";
  return text;
}

void run(const DevicesOptions& options) {
  const DeviceList list = list_devices(options.measure);
  print(options.json ? to_text(to_json(list)) : plain_text(list));
}

}  // namespace

void add_devices(CommandLine& line) {
  auto shared = std::make_shared<DevicesOptions>();
  Options options = line.add("devices", "List what models can run on",
                             "  tercel devices --measure\n", [shared] { run(*shared); });
  options.flag("--measure", shared->measure,
               "Measure how fast each device copies its memory (bytes read and written)");
  options.flag("--json", shared->json, "Print JSON");
}

}  // namespace tercel::cli
