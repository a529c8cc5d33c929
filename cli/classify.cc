#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/files.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/models.h"
#include "tercel/tasks.h"

namespace tercel::cli {
namespace {

struct ClassifyOptions {
  std::string model;
  std::vector<std::string> texts;
  std::string input;
  std::string pair;
  SessionOptions session;
  bool tokens = false;
  bool all = false;
  bool json = false;
  bool explain = false;
};

std::string classify_texts(const ClassifyOptions& options, const std::vector<std::string>& texts) {
  const TextClassification model(options.model, options.session);
  warn(model.session().warnings());
  if (options.explain) explain(model.session());
  const auto results = options.pair.empty()
                           ? model.classify(texts, cancellable())
                           : model.classify_pairs(options.pair, texts, cancellable());
  std::string out;
  Json list = Json::array();
  for (std::size_t i = 0; i < texts.size(); ++i) {
    Json labels = Json::array();
    std::string row;
    for (const tasks::Label& label : results[i]) {
      labels.push_back({{"label", label.name}, {"score", label.score}});
      if (options.all || row.empty()) row += fmt::format("{}\t{:.4f}\t", label.name, label.score);
    }
    if (options.json) {
      list.push_back({{"text", texts[i]}, {"labels", std::move(labels)}});
    } else {
      out += row + one_line(texts[i]) + "\n";
    }
  }
  return options.json ? to_text(list) : out;
}

std::string classify_tokens(const ClassifyOptions& options, const std::vector<std::string>& texts) {
  const TokenClassification model(options.model, options.session);
  warn(model.session().warnings());
  if (options.explain) explain(model.session());
  std::string out;
  Json list = Json::array();
  for (const std::string& text : texts) {
    Json tokens = Json::array();
    for (const tasks::EntityToken& token : model.classify(text, cancellable())) {
      if (options.json) {
        tokens.push_back({{"text", token.text},
                          {"label", token.label},
                          {"score", token.score},
                          {"begin", token.begin},
                          {"end", token.end}});
      } else {
        out += fmt::format("{}\t{}\t{:.4f}\t{}\t{}\n", one_line(token.text), token.label,
                           token.score, token.begin, token.end);
      }
    }
    if (options.json) {
      list.push_back({{"text", text}, {"tokens", std::move(tokens)}});
    } else if (texts.size() > 1) {
      out += "\n";
    }
  }
  return options.json ? to_text(list) : out;
}

void run(const ClassifyOptions& options) {
  if (options.tokens && !options.pair.empty()) {
    reject("--tokens and --pair: give one of them; tokens are those of one text");
  }
  const auto texts = read_texts(options.texts, options.input);
  print(options.tokens ? classify_tokens(options, texts) : classify_texts(options, texts));
}

}  // namespace

void add_classify(CommandLine& line) {
  auto shared = std::make_shared<ClassifyOptions>();
  ClassifyOptions& classify = *shared;
  Options options = line.add(
      "classify", "Say which label fits a text, or each of its tokens",
      "  tercel classify --model sentiment/ \"What a day!\" \"Never again.\"\n"
      "  tercel classify --model ner/ --tokens --json --input sentences.txt\n"
      "  tercel classify --model reranker/ --pair \"Who built it?\" --input passages.txt\n"
      "A line a text: label, probability, text; with --tokens a line a token: text, label,\n"
      "probability, first byte, end.",
      [shared] { run(*shared); });
  options.text("--model", classify.model, "PATH", "A checkpoint's directory or an ONNX file",
               Need::required);
  options.text("--input", classify.input, "FILE", "Texts, one a line; -: standard input");
  options.text("--pair", classify.pair, "TEXT",
               "Label pairs: this text, such as a question, and each of the others");
  options.flag("--tokens", classify.tokens, "Label the tokens (token classification)");
  options.flag("--all", classify.all, "Print all labels, most probable first");
  add_session_options(options, classify.session);
  options.flag("--json", classify.json, "Print JSON, all labels in it");
  options.flag("--explain", classify.explain,
               "Say on standard error which kernels were chosen, and why");
  options.texts("text", classify.texts, "TEXT", "Texts, each in quotes");
}

}  // namespace tercel::cli
