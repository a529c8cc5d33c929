#include "src/session/compile_model.h"

#include <algorithm>
#include <optional>

#include "src/base/fail.h"
#include "src/base/in_file.h"
#include "src/passes/quantize_dynamic.h"
#include "src/passes/quantize_groups.h"
#include "src/session/info.h"
#include "src/session/input_sizes.h"
#include "src/session/product_rate.h"
#include "src/session/spread.h"

namespace tercel {
namespace {

std::map<Shape, std::set<std::string>> by_shape(const ir::Model& model,
                                                const std::vector<std::string>& names) {
  std::map<std::string, Shape> shapes;
  for (const ir::Value* value : model.graph.initializers())
    shapes[value->name()] = value->initializer().shape();
  std::map<Shape, std::set<std::string>> result;
  for (const std::string& name : names) {
    const auto found = shapes.find(passes::quantized_name(name));
    if (found != shapes.end()) result[found->second].insert(name);
  }
  return result;
}

// Of a request of one row; where nobody can tell what that is, of the sizes that are known.
SizedFacts sized_facts(const ir::Model& model) {
  try {
    return infer_sized(model, {});
  } catch (const Error&) {
    return {ops::infer(model.graph, {}, &model), 1, {}};
  }
}

struct Placement {
  StageOfNode stages;
  std::vector<runtime::Accelerator*> accelerators;  // of the stages
  std::string explanation;
};

// Of layers that one device has no room for, how many each gets depends on how fast they are. The
// CPU gets what the others have no room for, and need not be measured.
std::vector<std::size_t> places_of(std::span<const ModelLayer> layers,
                                   std::span<const StageDevice> devices) {
  std::vector<DeviceRoom> rooms;
  for (const StageDevice& device : devices) rooms.push_back({device.room});
  rooms.push_back({0, 1, 1});
  auto places = spread(layers, rooms);
  if (devices.size() < 2 || places.empty() || places.back() == 0) return places;
  for (std::size_t i = 0; i < devices.size(); ++i) {
    if (devices[i].accelerator == nullptr) continue;
    Device& own = devices[i].accelerator->device();
    rooms[i].bandwidth = own.measure_bandwidth();
    if (rooms[i].bandwidth > 0)
      rooms[i].flops = measure_product_rate(own.name(), devices[i].accelerator->float_dtype());
  }
  return spread(layers, rooms);
}

// A device that gets no layer has no stage.
Placement spread_layers(const ir::Model& model, const ModelSource& source, Dtype dtype) {
  Placement placement;
  const SizedFacts sized = sized_facts(model);
  const auto layers = layers_of(model.graph, sized.facts, dtype, sized.sequence, sized.sequence);
  const auto places = places_of(layers, source.devices);
  for (std::size_t begin = 0, end = 0; begin < layers.size(); begin = end) {
    std::size_t bytes = 0;
    for (; end < layers.size() && places[end] == places[begin]; ++end) {
      bytes += layers[end].weight_bytes;
      for (const ir::Node* node : layers[end].nodes)
        placement.stages.emplace(node, placement.accelerators.size());
    }
    const bool behind = places[begin] == source.devices.size();
    auto* own = behind ? nullptr : source.devices[places[begin]].accelerator;
    placement.accelerators.push_back(own);
    placement.explanation +=
        fmt::format("placement: {} has {} of {} layers, {} to {}, with {} bytes of weights\n",
                    own != nullptr ? own->device().name() : "cpu", end - begin, layers.size(),
                    layers[begin].name, layers[end - 1].name, bytes);
  }
  return placement;
}

Placement place(const ir::Model& model, const ModelSource& source, Dtype dtype) {
  if (source.devices.empty()) return {{}, {nullptr}, ""};
  const StageDevice& first = source.devices[0];
  if (first.room == StageDevice::kAll) return {{}, {first.accelerator}, ""};
  Placement placement = spread_layers(model, source, dtype);
  if (placement.accelerators.empty()) placement.accelerators.push_back(first.accelerator);
  return placement;
}

std::shared_ptr<const StagedProgram> compile_stages(std::unique_ptr<ir::Model> model,
                                                    const Placement& placement,
                                                    const ModelSource& source,
                                                    const WeightTypes& types) {
  const auto compile = [&](std::unique_ptr<ir::Model> part, runtime::Accelerator* accelerator) {
    return std::make_unique<runtime::Program>(
        std::move(part),
        runtime::ProgramOptions{.isa = source.isa,
                                .weight_dtype = types.dtype,
                                .product_dtype = types.quantized,
                                .accelerator = accelerator,
                                .strict = source.strict},
        source.pool, *source.memory);
  };
  const auto& accelerators = placement.accelerators;
  if (accelerators.size() == 1) {
    std::optional<BatchRows> rows;
    if (accelerators[0] == nullptr && has_packed_rows(*model))
      rows.emplace(*model, ops::infer(model->graph, {}, model.get()));
    return std::make_shared<StagedProgram>(compile(std::move(model), accelerators[0]),
                                           std::move(rows));
  }
  ops::forget_declared_shapes(model->graph);
  const std::size_t outputs = model->graph.outputs().size();
  auto facts = std::make_optional(ops::infer(model->graph, {}, model.get()));
  std::vector<Dtype> kept;
  for (const runtime::Accelerator* accelerator : accelerators)
    kept.push_back(accelerator != nullptr ? accelerator->float_dtype() : Dtype::f32);
  std::vector<StageModel> parts = cut_model(*model, *facts, placement.stages, kept);
  BatchRows rows(*model, *facts);
  facts.reset();
  model.reset();  // each part lets go of its weights once they are packed
  std::vector<Stage> stages;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    stages.push_back({compile(std::move(parts[i].model), accelerators[i]),
                      std::move(parts[i].inputs), std::move(parts[i].outputs)});
  }
  return std::make_shared<StagedProgram>(std::move(stages), outputs, std::move(rows));
}

}  // namespace

CompiledModel compile_model(const ModelSource& source, const WeightTypes& types) {
  return in_file(source.path, [&] {
    CompiledModel compiled;
    auto model = read_model(source.path, source.task);
    prepare_model(*model, {source.isa, source.pool, *source.memory}, source.optimize);
    if (types.quantized == Dtype::i4) passes::quantize_groups(*model);
    if (types.quantized == Dtype::i8)
      compiled.quantized = by_shape(*model, passes::quantize_dynamic(*model, types.kept));
    compiled.inputs = describe(model->graph.inputs());
    compiled.outputs = describe(model->graph.outputs());
    compiled.metadata.insert(model->metadata.begin(), model->metadata.end());
    compiled.warnings = model->warnings;
    Placement placement = place(*model, source, types.dtype);
    compiled.program = compile_stages(std::move(model), placement, source, types);
    compiled.placement = std::move(placement.explanation);
    compiled.executor =
        std::make_unique<StagedExecutor>(compiled.program, source.pool, source.memory);
    return compiled;
  });
}

}  // namespace tercel
