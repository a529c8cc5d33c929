#include <algorithm>
#include <charconv>

#include "src/base/fail.h"
#include "src/base/in_file.h"
#include "src/base/request_threads.h"
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
#include "src/session/load_model.h"
#include "tercel/model.h"

namespace tercel {
namespace {

constexpr int64_t kDefaultSequence = 128;

// What reading a model for its own sake, without a session, is done on.
struct Workshop {
  std::shared_ptr<RequestThreads> threads = RequestThreads::shared();
  std::shared_ptr<Allocator> memory = make_cpu_allocator();
  Machine machine{best_cpu_isa(), threads->pool(), *memory};
};

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

// As many tokens as a text often has, where the model takes so many.
int64_t usual_sequence(const ir::Model& model) {
  for (const auto& [key, value] : model.metadata) {
    if (key != "tercel.max_length") continue;
    int64_t limit = 0;
    std::from_chars(value.data(), value.data() + value.size(), limit);
    if (limit > 0) return std::min(limit, kDefaultSequence);
  }
  return kDefaultSequence;
}

std::vector<ir::Type> concrete_inputs(const ir::Model& model,
                                      const std::map<std::string, int64_t>& dimensions,
                                      int64_t usual, std::map<std::string, int64_t>& chosen) {
  std::vector<ir::Type> types;
  for (const ir::Value* input : model.graph.inputs()) {
    ir::Type type = input->type;
    if (type.dims) {
      for (ir::Dim& dim : *type.dims) {
        if (!dim.symbolic()) continue;
        const auto given = dimensions.find(dim.symbol());
        const bool sequence = dim.symbol().find("seq") != std::string::npos;
        const int64_t size = given != dimensions.end() ? given->second : sequence ? usual : 1;
        chosen[dim.symbol()] = size;
        dim = size;
      }
    }
    types.push_back(std::move(type));
  }
  return types;
}

// The operations of a run at `dimensions`. A table of positions may be shorter than the usual
// sequence, which is halved until the graph takes it.
double flops_at(const ir::Model& model, const std::map<std::string, int64_t>& dimensions,
                std::map<std::string, int64_t>& chosen) {
  for (int64_t usual = usual_sequence(model);; usual /= 2) {
    const auto types = concrete_inputs(model, dimensions, usual, chosen);
    try {
      return count_flops(model.graph, ops::infer(model.graph, types, &model));
    } catch (const Error&) {
      if (usual <= 1) throw;
    }
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
  std::map<std::string, int64_t> chosen;
  summary.flops = flops_at(*model, dimensions, chosen);
  for (const auto& [name, size] : chosen) {
    summary.flops_shape +=
        fmt::format("{}{}={}", summary.flops_shape.empty() ? "" : ", ", name, size);
  }
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
