#include <algorithm>
#include <numeric>
#include <set>

#include "src/base/checked.h"
#include "src/base/fail.h"
#include "src/base/in_file.h"
#include "src/device/cuda_library.h"
#include "src/session/input_sizes.h"
#include "src/session/product_rate.h"
#include "src/session/spread.h"
#include "src/session/stages.h"
#include "src/session/workshop.h"
#include "tercel/plan.h"

namespace tercel {
namespace {

// Of a GPU that is not there and of which nothing was said.
constexpr double kAssumedBandwidth = 2e12;
constexpr double kAssumedPeak = 300e12;
constexpr double kAssumedLink = 25e9;  // PCIe 4.0, 16 lanes

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

// How fast bytes of the first come to the second; one of them is a GPU.
double link_rate(const std::string& from, const std::string& to, const PlanOptions& options) {
  Device* source = device_of(from, options);
  Device* target = device_of(to, options);
  if (source == nullptr || target == nullptr) return kAssumedLink;
  if (target->kind() == DeviceKind::cpu) std::swap(source, target);
  const double rate = target->measure_transfer(*source);
  return rate > 0 ? rate : kAssumedLink;
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
  const auto full = std::find_if(plan.devices.begin(), plan.devices.end(),
                                 [](const PlannedDevice& device) { return !device.fits; });
  if (full == plan.devices.end()) return "";
  return fmt::format("{} bytes of weights and activations do not fit into the {} of {}",
                     full->weight_bytes + full->activation_bytes, full->usable, full->name);
}

// The layers at one size of a batch.
class SizedLayers {
 public:
  SizedLayers(const ir::Model& model, const PlanOptions& options, int64_t batch)
      : sized_(infer_sized(model, {options.dimensions, options.sequence, batch})),
        layers_(layers_of(model.graph, sized_.facts, options.dtype,
                          checked_mul(batch, sized_.sequence), sized_.sequence)) {}

  std::string text() const { return sized_.text(); }
  const std::vector<ModelLayer>& layers() const { return layers_; }

  // Of each device, one after the other.
  std::vector<double> seconds(std::span<const std::size_t> places,
                              std::span<const DeviceRoom> rooms) const {
    std::vector<double> sums(rooms.size());
    for (std::size_t i = 0; i < layers_.size(); ++i)
      sums[places[i]] += predicted_seconds(layers_[i], rooms[places[i]]);
    const auto received = received_bytes(layers_, places, rooms.size());
    for (std::size_t i = 0; i < rooms.size(); ++i)
      if (rooms[i].link > 0) sums[i] += received[i] / rooms[i].link;
    return sums;
  }

 private:
  SizedFacts sized_;
  std::vector<ModelLayer> layers_;
};

// Of the devices that have layers, from the one before it that has.
void find_links(std::span<DeviceRoom> rooms, const std::set<std::size_t>& used,
                const PlanOptions& options) {
  for (auto at = used.begin(); at != used.end() && std::next(at) != used.end(); ++at) {
    const std::size_t next = *std::next(at);
    rooms[next].link = link_rate(options.devices[*at], options.devices[next], options);
  }
}

void predict_times(ModelPlan& plan, const std::vector<double>& part) {
  const double slowest = *std::max_element(part.begin(), part.end());
  const double latency = std::accumulate(part.begin(), part.end(), 0.0);
  plan.seconds = latency + static_cast<double>(plan.parts - 1) * slowest;
  plan.seconds_between = static_cast<double>(plan.parts) * slowest;
}

}  // namespace

ModelPlan plan_model(const std::filesystem::path& path, const PlanOptions& options) {
  check_plan(options);
  Workshop workshop;
  ModelPlan plan;
  const auto model = read_model(path, options.task);
  const auto sized = [&](int64_t batch) {
    return in_file(path, [&] { return SizedLayers(*model, options, batch); });
  };
  in_file(path, [&] { prepare_model(*model, workshop.machine, true); });
  const SizedLayers whole = sized(options.batch);
  plan.shape = whole.text();
  std::vector<DeviceRoom> rooms;
  for (const std::string& name : options.devices) {
    plan.devices.push_back(planned_device(name, options));
    const PlannedDevice& device = plan.devices.back();
    rooms.push_back({device.usable, device.bandwidth, device.peak});
  }
  // A session does not know the batches to come.
  const auto places = spread(sized(1).layers(), rooms);
  const std::set<std::size_t> used(places.begin(), places.end());
  find_links(rooms, used, options);
  ops::forget_declared_shapes(model->graph);
  const bool cut = BatchRows(*model, ops::infer(model->graph, {}, model.get())).reason().empty();
  const int64_t rows = cut ? rows_of_part(options.batch, used.size()) : options.batch;
  plan.parts = (options.batch + rows - 1) / rows;
  const SizedLayers part = sized(std::min(rows, options.batch));
  for (std::size_t i = 0; i < places.size(); ++i) {
    const ModelLayer& layer = whole.layers()[i];
    PlannedDevice& device = plan.devices[places[i]];
    const double seconds = predicted_seconds(layer, rooms[places[i]]);
    plan.layers.push_back({layer.name, device.name, layer.weight_bytes, layer.activation_bytes,
                           layer.flops, seconds});
    plan.weight_bytes += layer.weight_bytes;
    device.weight_bytes += layer.weight_bytes;
    device.activation_bytes = std::max(device.activation_bytes, part.layers()[i].activation_bytes);
  }
  predict_times(plan, part.seconds(places, rooms));
  const auto received = received_bytes(whole.layers(), places, rooms.size());
  const auto seconds = whole.seconds(places, rooms);
  for (std::size_t i = 0; i < rooms.size(); ++i) {
    PlannedDevice& device = plan.devices[i];
    device.received_bytes = received[i];
    device.link = rooms[i].link;
    device.seconds = seconds[i];
    device.fits = device.weight_bytes + device.activation_bytes <= device.usable;
  }
  plan.warning = warning_for(plan);
  return plan;
}

}  // namespace tercel
