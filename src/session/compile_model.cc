#include "src/session/compile_model.h"

#include <algorithm>
#include <array>

#include "src/base/fail.h"
#include "src/base/in_file.h"
#include "src/passes/quantize_dynamic.h"
#include "src/passes/quantize_groups.h"
#include "src/session/info.h"
#include "src/session/input_sizes.h"
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

// The layers that the accelerator has no room for.
struct HostShare {
  std::unordered_set<const ir::Node*> nodes;
  std::string explanation;
};

HostShare host_share(const ir::Model& model, const ModelSource& source, Dtype dtype) {
  HostShare share;
  if (source.spread_over == 0) return share;
  const SizedFacts sized = sized_facts(model);
  const auto layers = layers_of(model.graph, sized.facts, dtype, sized.sequence, sized.sequence);
  const auto places = spread(layers, std::array{DeviceRoom{source.spread_over}, DeviceRoom{}});
  const auto first = static_cast<std::size_t>(
      std::find(places.begin(), places.end(), std::size_t{1}) - places.begin());
  if (first == layers.size()) return share;
  std::size_t bytes = 0;
  for (std::size_t i = first; i < layers.size(); ++i) {
    share.nodes.insert(layers[i].nodes.begin(), layers[i].nodes.end());
    bytes += layers[i].weight_bytes;
  }
  share.explanation = fmt::format(
      "placement: {} of {} layers, from {} on, lie on the CPU with {} bytes of weights: {} has {} "
      "bytes for the model\n",
      layers.size() - first, layers.size(), layers[first].name, bytes,
      source.accelerator->device().name(), source.spread_over);
  return share;
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
    const HostShare share = host_share(*model, source, types.dtype);
    compiled.placement = share.explanation;
    compiled.program = std::make_unique<runtime::Program>(
        std::move(model),
        runtime::ProgramOptions{source.isa, types.dtype, source.accelerator, source.strict,
                                &share.nodes},
        source.pool, *source.memory);
    compiled.executor =
        std::make_unique<runtime::Executor>(*compiled.program, source.pool, source.memory);
    return compiled;
  });
}

}  // namespace tercel
