#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/files.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/models.h"
#include "tercel/npy.h"
#include "tercel/tasks.h"

namespace tercel::cli {
namespace {

struct EmbedOptions {
  std::string model;
  std::vector<std::string> texts;
  std::string input;
  std::string output;
  SessionOptions session;
  bool json = false;
  bool explain = false;
};

void run(const EmbedOptions& options) {
  const auto texts = read_texts(options.texts, options.input);
  const Embedding model(options.model, options.session);
  warn(model.session().warnings());
  if (options.explain) explain(model.session());
  const Tensor vectors = model.embed(texts, cancellable());
  if (!options.output.empty()) return write_npy(options.output, vectors);

  const auto size = static_cast<std::size_t>(vectors.shape()[1]);
  std::string out;
  Json list = Json::array();
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto row = vectors.values<float>().subspan(i * size, size);
    if (options.json) {
      list.push_back(
          {{"text", texts[i]}, {"embedding", std::vector<float>(row.begin(), row.end())}});
    } else {
      out += fmt::format("{}\n", fmt::join(row, " "));
    }
  }
  print(options.json ? to_text(list) : out);
}

}  // namespace

void add_embed(CommandLine& line) {
  auto shared = std::make_shared<EmbedOptions>();
  EmbedOptions& embed = *shared;
  Options options =
      line.add("embed", "Turn texts into vectors",
               "  tercel embed --model all-MiniLM-L6-v2/ \"A text\" \"Another one\"\n"
               "  tercel embed --model all-MiniLM-L6-v2/ --input lines.txt --output vectors.npy\n"
               "A line a text: its numbers, separated by spaces.",
               [shared] { run(*shared); });
  options.text("--model", embed.model, "PATH", "A checkpoint's directory or an ONNX file",
               Need::required);
  options.text("--input", embed.input, "FILE", "Texts, one a line; -: standard input");
  options.text("--output", embed.output, "FILE.npy", "Write an array [texts, size] of f32 instead");
  add_session_options(options, embed.session);
  options.flag("--json", embed.json, "Print JSON");
  options.flag("--explain", embed.explain,
               "Say on standard error which kernels were chosen, and why");
  options.texts("text", embed.texts, "TEXT", "Texts, each in quotes");
}

}  // namespace tercel::cli
