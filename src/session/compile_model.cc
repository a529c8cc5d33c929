#include "src/session/compile_model.h"

#include <algorithm>

#include "src/base/in_file.h"
#include "src/passes/quantize_dynamic.h"
#include "src/passes/quantize_groups.h"
#include "src/session/info.h"

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
    compiled.program = std::make_unique<runtime::Program>(
        std::move(model),
        runtime::ProgramOptions{source.isa, types.dtype, source.accelerator, source.strict},
        source.pool, *source.memory);
    compiled.executor =
        std::make_unique<runtime::Executor>(*compiled.program, source.pool, source.memory);
    return compiled;
  });
}

}  // namespace tercel
