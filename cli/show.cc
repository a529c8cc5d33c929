#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/files.h"
#include "cli/json.h"
#include "cli/models.h"
#include "tercel/model.h"

namespace tercel::cli {
namespace {

struct ShowOptions {
  std::string model;
  std::vector<std::string> dimensions;
  bool text = false;
  bool optimized = false;
  bool operators = false;
  bool json = false;
};

std::string opsets_text(const ModelSummary& summary) {
  std::string text;
  for (const auto& [domain, version] : summary.opsets) {
    text += fmt::format("{}{}{}", text.empty() ? "" : ", ", domain.empty() ? "" : domain + " ",
                        version);
  }
  return text;
}

std::string with_unit(double value, std::string_view unit) {
  constexpr std::string_view kPrefixes[] = {"", "k", "M", "G", "T", "P"};
  std::size_t prefix = 0;
  while (value >= 1000 && prefix + 1 < std::size(kPrefixes)) {
    value /= 1000;
    ++prefix;
  }
  return fmt::format("{:.4g} {}{}", value, kPrefixes[prefix], unit);
}

std::string plain_text(const ModelSummary& summary) {
  std::string text;
  const auto line = [&](std::string_view name, std::string_view value) {
    text += fmt::format("{:<11} {}\n", name, value);
  };
  const auto list = [&](std::string_view name, const std::vector<TensorInfo>& infos) {
    for (const TensorInfo& info : infos) {
      line(&info == infos.data() ? name : "",
           info.dtype == Dtype::undefined
               ? fmt::format("{}: {}", info.name, info.type)
               : fmt::format("{}: {} {}", info.name, to_string(info.dtype), shape_text(info)));
    }
  };
  list("inputs", summary.inputs);
  list("outputs", summary.outputs);
  line("opset", fmt::format("{} (format version {})", opsets_text(summary), summary.ir_version));
  if (!summary.producer.empty()) line("producer", one_line(summary.producer));
  line("parameters", fmt::format("{} ({})", summary.parameters,
                                 with_unit(static_cast<double>(summary.parameter_bytes), "B")));
  line("flops", with_unit(summary.flops, "FLOP") +
                    (summary.flops_shape.empty() ? "" : " at " + summary.flops_shape));
  for (const auto& [key, value] : summary.metadata) line("metadata", key + ": " + one_line(value));
  int64_t nodes = 0;
  for (const auto& [name, count] : summary.operators) nodes += count;
  line("operators", fmt::format("{} of {} types", nodes, summary.operators.size()));
  for (const auto& [name, count] : summary.operators)
    line("", fmt::format("{:>5} {}", count, name));
  return text;
}

Json to_json(const ModelSummary& summary) {
  return {{"inputs", describe(summary.inputs)},
          {"outputs", describe(summary.outputs)},
          {"ir_version", summary.ir_version},
          {"opsets", summary.opsets},
          {"producer", summary.producer},
          {"parameters", summary.parameters},
          {"parameter_bytes", summary.parameter_bytes},
          {"flops", summary.flops},
          {"flops_shape", summary.flops_shape},
          {"operators", summary.operators},
          {"metadata", summary.metadata}};
}

void run(const ShowOptions& options) {
  if (options.operators) {
    const auto names = supported_operators();
    return print(options.json ? to_text(Json(names)) : fmt::format("{}\n", fmt::join(names, "\n")));
  }
  if (options.model.empty())
    reject("show: no model; give a checkpoint's directory or an ONNX file");
  if (options.text) return print(model_text(options.model, options.optimized));
  const auto summary = summarize(options.model, parse_dimensions(options.dimensions));
  warn(summary.warnings);
  print(options.json ? to_text(to_json(summary)) : plain_text(summary));
}

}  // namespace

void add_show(CommandLine& line) {
  auto shared = std::make_shared<ShowOptions>();
  ShowOptions& show = *shared;
  Options options = line.add("show", "Say what is in a model",
                             "  tercel show models/minilm-qa\n"
                             "  tercel show model.onnx --dim batch=8 --dim sequence=512 --json\n"
                             "  tercel show model.onnx --text --optimized | less",
                             [shared] { run(*shared); });
  options.text("model", show.model, "MODEL", "A checkpoint's directory or an ONNX file");
  options.each("--dim", show.dimensions, "NAME=N",
               "Size of a symbolic dimension for the count of flops; others count as 1, sequence "
               "as 128");
  options.flag("--text", show.text, "Print the graph in ONNX's textual syntax");
  options.flag("--optimized", show.optimized, "With --text: after Tercel's optimising passes");
  options.flag("--operators", show.operators, "List the operators that Tercel runs");
  options.flag("--json", show.json, "Print JSON");
}

}  // namespace tercel::cli
