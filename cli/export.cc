#include <filesystem>

#include "cli/command.h"
#include "cli/files.h"
#include "cli/models.h"
#include "tercel/model.h"

namespace tercel::cli {
namespace {

struct ExportCommand {
  std::string model;
  std::string output;
  ExportOptions options;
  bool tokenizer = false;
};

void run(const ExportCommand& command) {
  const std::filesystem::path output = command.output;
  const std::filesystem::path tokenizer = std::filesystem::path(command.model) / "tokenizer.json";
  std::error_code error;
  if (command.tokenizer && !std::filesystem::is_regular_file(tokenizer, error)) {
    reject("{} is not there: leave out --tokenizer, or export a directory that has one",
           tokenizer.string());
  }
  warn(export_onnx(command.model, output, command.options));
  if (!command.tokenizer) return;
  std::filesystem::copy_file(tokenizer, output.parent_path() / "tokenizer.json",
                             std::filesystem::copy_options::overwrite_existing, error);
  if (error) {
    throw Error(Errc::io, fmt::format("{}: cannot be copied beside {}: {}", tokenizer.string(),
                                      output.string(), error.message()));
  }
}

}  // namespace

void add_export(CommandLine& line) {
  auto shared = std::make_shared<ExportCommand>();
  ExportCommand& command = *shared;
  Options options = line.add(
      "export", "Write a checkpoint or an ONNX file as ONNX",
      "  tercel export models/minilm-qa -o model.onnx\n"
      "  tercel export models/minilm-qa -o out/model.onnx --dtype f16 --optimize --tokenizer\n"
      "With --tokenizer, `tercel ask --model out/model.onnx` works.",
      [shared] { run(*shared); });
  options.text("model", command.model, "MODEL", "A checkpoint's directory or an ONNX file",
               Need::required);
  options.text("-o,--output", command.output, "FILE", "The ONNX file to write", Need::required);
  options.dtype("--dtype", command.options.dtype,
                "Element type of the weights: f32, f16, bf16, int8, int4; default: as they are "
                "stored");
  options.flag("--optimize", command.options.optimize, "After Tercel's optimising passes");
  options.flag("--external-data", command.options.external_data,
               "Weights in a file beside it (always past 2 GiB)");
  options.text("--task", command.options.task, "NAME",
               "What a checkpoint is exported for, if not what its config says");
  options.flag("--tokenizer", command.tokenizer, "Copy tokenizer.json beside the file");
}

}  // namespace tercel::cli
