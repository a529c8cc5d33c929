#include "tercel/plan.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/files.h"
#include "cli/json.h"
#include "cli/models.h"

namespace tercel::cli {
namespace {

struct PlanCommand {
  std::string model;
  std::string devices = "cpu";
  std::vector<std::string> dimensions;
  std::vector<std::string> memory;
  std::vector<std::string> bandwidth;
  std::vector<std::string> peak;
  PlanOptions plan;
  bool json = false;
};

std::optional<double> parse_rate(const std::string& text) {
  double value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && stop == text.data() + text.size();
  return whole && std::isfinite(value) ? std::optional(value) : std::nullopt;
}

// "cuda:0=8GB" into the map; `read` is of what stands behind the device.
template <class Map, class Read>
void add_each(const std::vector<std::string>& given, const char* option, Map& map,
              const Read& read) {
  for (const std::string& entry : given) {
    const std::size_t at = entry.find('=');
    const auto value = at == std::string::npos ? std::nullopt : read(entry.substr(at + 1));
    if (!value || at == 0 || *value <= 0)
      reject("{} {}: expected a device and a size, such as cuda:0=8G", option, entry);
    map[entry.substr(0, at)] = *value;
  }
}

Json to_json(const ModelPlan& plan) {
  Json devices = Json::array();
  for (const PlannedDevice& device : plan.devices) {
    devices.push_back({{"name", device.name},
                       {"memory", device.memory},
                       {"usable", device.usable},
                       {"bandwidth", device.bandwidth},
                       {"peak", device.peak},
                       {"measured", device.measured},
                       {"weight_bytes", device.weight_bytes},
                       {"activation_bytes", device.activation_bytes},
                       {"received_bytes", device.received_bytes},
                       {"link", device.link},
                       {"seconds", device.seconds},
                       {"fits", device.fits}});
  }
  Json layers = Json::array();
  for (const PlannedLayer& layer : plan.layers) {
    layers.push_back({{"name", layer.name},
                      {"device", layer.device},
                      {"weight_bytes", layer.weight_bytes},
                      {"activation_bytes", layer.activation_bytes},
                      {"flops", layer.flops},
                      {"seconds", layer.seconds}});
  }
  return {{"devices", std::move(devices)},
          {"layers", std::move(layers)},
          {"weight_bytes", plan.weight_bytes},
          {"parts", plan.parts},
          {"seconds", plan.seconds},
          {"seconds_between", plan.seconds_between},
          {"shape", plan.shape},
          {"warning", plan.warning}};
}

double megabytes(std::size_t bytes) { return static_cast<double>(bytes) * 1e-6; }

std::string plain_text(const ModelPlan& plan) {
  std::string text = fmt::format("at {}\n{:<32} {:<8} {:>12} {:>14} {:>10} {:>12}\n", plan.shape,
                                 "layer", "device", "weights MB", "activations MB", "GFLOP", "ms");
  for (const PlannedLayer& layer : plan.layers) {
    text += fmt::format("{:<32} {:<8} {:>12.1f} {:>14.1f} {:>10.2f} {:>12.4f}\n",
                        one_line(layer.name), layer.device, megabytes(layer.weight_bytes),
                        megabytes(layer.activation_bytes), layer.flops * 1e-9, layer.seconds * 1e3);
  }
  for (const PlannedDevice& device : plan.devices) {
    text += fmt::format(
        "{:<8} {:.1f} MB of weights, {:.1f} of activations, of {:.1f} usable ({:.1f} free){}; "
        "{:.4f} ms at {:.1f} GB/s and {:.2f} TFLOP/s{}\n",
        device.name, megabytes(device.weight_bytes), megabytes(device.activation_bytes),
        megabytes(device.usable), megabytes(device.memory), device.fits ? "" : ": does not fit",
        device.seconds * 1e3, device.bandwidth * 1e-9, device.peak * 1e-12,
        device.measured ? ", measured" : "");
    if (device.received_bytes > 0) {
      text += fmt::format("{:<8} {:.1f} MB come from the devices before it at {:.1f} GB/s\n", "",
                          device.received_bytes * 1e-6, device.link * 1e-9);
    }
  }
  text += fmt::format("all      {:.1f} MB of weights, {:.4f} ms", megabytes(plan.weight_bytes),
                      plan.seconds * 1e3);
  if (plan.parts > 1) {
    text += fmt::format(" in {} parts, {:.4f} ms between batches that follow each other",
                        plan.parts, plan.seconds_between * 1e3);
  }
  text += '\n';
  if (!plan.warning.empty()) text += "warning: " + plan.warning + "\n";
  return text;
}

void run(const PlanCommand& command) {
  PlanOptions options = command.plan;
  options.devices = split_list(command.devices);
  options.dimensions = parse_dimensions(command.dimensions);
  add_each(command.memory, "--memory", options.memory, parse_bytes);
  add_each(command.bandwidth, "--bandwidth", options.bandwidth, parse_rate);
  add_each(command.peak, "--peak", options.peak, parse_rate);
  const ModelPlan plan = plan_model(command.model, options);
  print(command.json ? to_text(to_json(plan)) : plain_text(plan));
}

}  // namespace

void add_plan(CommandLine& line) {
  auto shared = std::make_shared<PlanCommand>();
  PlanCommand& command = *shared;
  Options options =
      line.add("plan", "Say what a model would take, and where its layers would lie",
               "  tercel plan models/minilm-qa --dtype bf16 --batch 8\n"
               "  tercel plan model.onnx --devices cuda:0,cpu --dtype f16 --memory cuda:0=8GB\n"
               "Nothing is loaded. Layers go to as many devices of the list as they need, in its "
               "order, so\n"
               "that the slowest takes the least time; the last takes what is left. A device whose "
               "memory is\n"
               "given need not be there. Rates are measured where they are not given.",
               [shared] { run(*shared); });
  options.text("model", command.model, "MODEL", "A checkpoint's directory or an ONNX file",
               Need::required);
  options.text("--devices", command.devices, "LIST", "Devices, the first to use first");
  options.dtype("--dtype", command.plan.dtype, "How weights are held: f32 (default), f16, bf16");
  options.number("--batch", command.plan.batch, "Rows of a request");
  options.number("--seq", command.plan.sequence, "Tokens of a row; 0: 128, or what the model takes",
                 0);
  options.each("--dim", command.dimensions, "NAME=N", "Size of another symbolic dimension; else 1");
  options.text("--task", command.plan.task, "NAME",
               "What a checkpoint is loaded for, if not what its config says");
  options.each("--memory", command.memory, "DEVICE=BYTES", "Free memory to suppose: cuda:0=8GB");
  options.each("--bandwidth", command.bandwidth, "DEVICE=N",
               "Bytes a second to suppose: cuda:0=3.3e12");
  options.each("--peak", command.peak, "DEVICE=N", "Operations a second to suppose: cuda:0=6e14");
  options.flag("--json", command.json, "Print JSON");
}

}  // namespace tercel::cli
