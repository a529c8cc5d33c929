#include <algorithm>

#include "src/base/fail.h"
#include "src/base/in_file.h"
#include "src/ir/onnx_file.h"
#include "src/ir/text.h"
#include "src/ops/cpu.h"
#include "src/ops/op_def.h"
#include "src/passes/expand_masks.h"
#include "src/passes/quantize_dynamic.h"
#include "src/passes/quantize_groups.h"
#include "src/passes/store_weights.h"
#include "src/runtime/subgraph.h"
#include "src/session/flops.h"
#include "src/session/info.h"
#include "src/session/input_sizes.h"
#include "src/session/workshop.h"
#include "tercel/model.h"

namespace tercel {
namespace {

std::string operator_name(std::string_view domain, std::string_view name) {
  return fmt::format("{}{}{}", domain, domain.empty() ? "" : ".", name);
}

void count(const ir::Graph& graph, ModelSummary& summary) {
  for (const auto& node : graph.nodes()) {
    ++summary.operators[operator_name(node->domain(), node->op_type())];
    for (const ir::Attribute& attribute : node->attributes()) {
      if (const auto* sub = std::get_if<std::shared_ptr<ir::Graph>>(&attribute.data))
        count(**sub, summary);
      if (const auto* tensor = std::get_if<Tensor>(&attribute.data)) {
        summary.parameters += tensor->size();
        summary.parameter_bytes += static_cast<int64_t>(tensor->bytes());
      }
    }
  }
  for (const ir::Value* initializer : graph.initializers()) {
    summary.parameters += initializer->initializer().size();
    summary.parameter_bytes += static_cast<int64_t>(initializer->initializer().bytes());
  }
}

// The oldest format version that knows everything a model of this opset can hold.
int64_t format_version(int64_t opset) {
  constexpr std::pair<int64_t, int64_t> kVersions[] = {{22, 10}, {23, 11}, {24, 12}, {27, 13}};
  for (const auto& [newest, version] : kVersions) {
    if (opset <= newest) return version;
  }
  return ir::kIrVersion;
}

}  // namespace

ModelSummary summarize(const std::filesystem::path& path,
                       const std::map<std::string, int64_t>& dimensions) {
  auto model = read_model(path, {});
  ModelSummary summary;
  summary.ir_version = model->ir_version;
  summary.opsets = model->opsets;
  summary.producer = model->producer_name;
  summary.metadata.insert(model->metadata.begin(), model->metadata.end());
  summary.inputs = describe(model->graph.inputs());
  count(model->graph, summary);

  Workshop workshop;
  in_file(path, [&] { prepare_model(*model, workshop.machine, false); });
  summary.outputs = describe(model->graph.outputs());
  summary.warnings = model->warnings;
  const SizedFacts sized = infer_sized(*model, {.named = dimensions});
  summary.flops = count_flops(model->graph, sized.facts);
  summary.flops_shape = sized.text();
  return summary;
}

std::string model_text(const std::filesystem::path& path, bool optimized) {
  auto model = read_model(path, {});
  if (optimized) {
    Workshop workshop;
    in_file(path, [&] { prepare_model(*model, workshop.machine, true); });
  }
  return ir::to_text(*model);
}

std::vector<std::string> supported_operators() {
  std::vector<std::string> names;
  for (const ops::CpuOp* op : ops::all_cpu_ops()) {
    names.push_back(operator_name(op->domain, op->name));
  }
  for (const std::string_view name : runtime::subgraph_operators()) names.emplace_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> export_onnx(const std::filesystem::path& path,
                                     const std::filesystem::path& output,
                                     const ExportOptions& options) {
  auto model = read_model(path, options.task);
  Workshop workshop;
  in_file(path, [&] { prepare_model(*model, workshop.machine, options.optimize); });
  if (options.dtype == Dtype::i8)
    passes::quantize_dynamic(*model);
  else if (options.dtype == Dtype::i4)
    passes::quantize_groups(*model);
  else if (options.dtype != Dtype::undefined)
    passes::store_weights(*model, options.dtype);
  passes::expand_masks(
      *model);  // other runtimes do not broadcast every mask that the specification allows
  const int64_t opset = ops::lowest_opset(*model);
  for (auto& [domain, version] : model->opsets) {
    if (domain.empty()) version = opset;
  }
  for (auto& function : model->functions) {
    if (const auto own = function->opsets.find(""); own != function->opsets.end())
      own->second = opset;
  }
  model->ir_version = format_version(opset);
  ir::write_onnx(*model, output, {.external = options.external_data});
  return model->warnings;
}

}  // namespace tercel
