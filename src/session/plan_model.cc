#include <algorithm>

#include "src/base/checked.h"
#include "src/base/fail.h"
#include "src/base/in_file.h"
#include "src/device/cuda_library.h"
#include "src/session/input_sizes.h"
#include "src/session/product_rate.h"
#include "src/session/spread.h"
#include "src/session/workshop.h"
#include "tercel/plan.h"

namespace tercel {
namespace {

// Of a GPU that is not there and of which nothing was said.
constexpr double kAssumedBandwidth = 2e12;
constexpr double kAssumedPeak = 300e12;

template <class Map>
auto said(const Map& map, const std::string& device) -> typename Map::mapped_type {
  const auto found = map.find(device);
  return found != map.end() ? found->second : typename Map::mapped_type{};
}

// Null for one that is not there, if its memory is supposed.
Device* device_of(const std::string& name, const PlanOptions& options) {
  try {
    return &find_device(name);
  } catch (const Error& error) {
    if (error.code() != Errc::unsupported || said(options.memory, name) == 0) throw;
    return nullptr;
  }
}

std::size_t free_memory(const Device& device) {
  const DeviceProperties own = device.properties();
  // The page cache is not free, but gives way.
  return device.kind() == DeviceKind::cpu ? own.memory : own.free_memory;
}

PlannedDevice planned_device(const std::string& name, const PlanOptions& options) {
  PlannedDevice planned;
  planned.name = name;
  Device* const device = device_of(name, options);
  planned.memory = said(options.memory, name);
  if (planned.memory == 0) planned.memory = free_memory(*device);
  planned.usable = usable_memory(planned.memory);
  planned.bandwidth = said(options.bandwidth, name);
  planned.peak = said(options.peak, name);
  planned.measured = planned.bandwidth == 0 && planned.peak == 0 && device != nullptr;
  if (planned.bandwidth == 0)
    planned.bandwidth = device != nullptr ? device->measure_bandwidth() : kAssumedBandwidth;
  if (planned.peak == 0)
    planned.peak = device != nullptr ? measure_product_rate(name, options.dtype) : kAssumedPeak;
  return planned;
}

void check_plan(const PlanOptions& options) {
  if (options.dtype != Dtype::f32 && options.dtype != Dtype::f16 && options.dtype != Dtype::bf16) {
    fail(Errc::unsupported, "dtype {}: a plan is made for f32, f16 or bf16",
         options.dtype == Dtype::undefined ? "auto" : to_string(options.dtype));
  }
  if (options.devices.empty() || options.batch < 1 || options.sequence < 0)
    fail(Errc::invalid_argument, "a plan needs devices, a batch and a sequence of at least one");
  for (const auto* given : {&options.bandwidth, &options.peak}) {
    for (const auto& [name, rate] : *given) {
      if (!(rate > 0)) fail(Errc::invalid_argument, "{}: expected a rate above 0", name);
    }
  }
}

std::string warning_for(const ModelPlan& plan) {
  const auto gpus = std::count_if(plan.devices.begin(), plan.devices.end(), [](const auto& device) {
    return device.name != "cpu" && device.weight_bytes > 0;
  });
  const PlannedDevice& last = plan.devices.back();
  if (!last.fits)
    return fmt::format("{} bytes of weights and activations do not fit into the {} of {}",
                       last.weight_bytes + last.activation_bytes, last.usable, last.name);
  return gpus > 1 ? "a session spreads a model over one GPU and the CPU, not over several GPUs"
                  : "";
}

}  // namespace

ModelPlan plan_model(const std::filesystem::path& path, const PlanOptions& options) {
  check_plan(options);
  Workshop workshop;
  ModelPlan plan;
  const auto model = read_model(path, options.task);
  const auto layers = in_file(path, [&] {
    prepare_model(*model, workshop.machine, true);
    const SizedFacts sized =
        infer_sized(*model, {options.dimensions, options.sequence, options.batch});
    plan.shape = sized.text();
    return layers_of(model->graph, sized.facts, options.dtype,
                     checked_mul(options.batch, sized.sequence), sized.sequence);
  });
  std::vector<DeviceRoom> rooms;
  for (const std::string& name : options.devices) {
    plan.devices.push_back(planned_device(name, options));
    const PlannedDevice& device = plan.devices.back();
    rooms.push_back({device.usable, device.bandwidth, device.peak});
  }
  const auto places = spread(layers, rooms);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const ModelLayer& layer = layers[i];
    PlannedDevice& device = plan.devices[places[i]];
    const double seconds = predicted_seconds(layer, rooms[places[i]]);
    plan.layers.push_back({layer.name, device.name, layer.weight_bytes, layer.activation_bytes,
                           layer.flops, seconds});
    plan.weight_bytes += layer.weight_bytes;
    device.weight_bytes += layer.weight_bytes;
    device.activation_bytes = std::max(device.activation_bytes, layer.activation_bytes);
    device.seconds += seconds;
  }
  for (PlannedDevice& device : plan.devices)
    device.fits = device.weight_bytes + device.activation_bytes <= device.usable;
  plan.warning = warning_for(plan);
  return plan;
}

}  // namespace tercel
