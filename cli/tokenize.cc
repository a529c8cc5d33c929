#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/files.h"
#include "cli/json.h"
#include "cli/models.h"
#include "tercel/tokenizer.h"

namespace tercel::cli {
namespace {

struct TokenizeOptions {
  std::string model;
  std::vector<std::string> texts;
  std::string input;
  bool special = true;
  bool json = false;
};

void run(const TokenizeOptions& options) {
  const auto texts = read_texts(options.texts, options.input);
  const auto path = find_model(options.model);
  const auto tokenizer = Tokenizer::load(path.extension() == ".onnx" ? path.parent_path() : path);
  std::string out;
  Json list = Json::array();
  for (const std::string& text : texts) {
    EncodeOptions encode;
    encode.add_special_tokens = options.special;
    const Encoding encoding = tokenizer.encode(text, encode);
    Json tokens = Json::array();
    Json offsets = Json::array();
    for (std::size_t i = 0; i < encoding.size(); ++i) {
      const std::string token = tokenizer.id_to_token(encoding.ids[i]).value_or("");
      const TextSpan span = encoding.offsets[i];
      if (options.json) {
        tokens.push_back(token);
        offsets.push_back({span.begin, span.end});
      } else {
        out += fmt::format("{}\t{}\t{}\t{}\n", encoding.ids[i], token, span.begin, span.end);
      }
    }
    if (options.json) {
      list.push_back({{"text", text},
                      {"ids", encoding.ids},
                      {"tokens", std::move(tokens)},
                      {"offsets", std::move(offsets)}});
    } else if (texts.size() > 1) {
      out += "\n";
    }
  }
  print(options.json ? to_text(list) : out);
}

}  // namespace

void add_tokenize(CommandLine& line) {
  auto shared = std::make_shared<TokenizeOptions>();
  TokenizeOptions& tokenize = *shared;
  Options options =
      line.add("tokenize", "Show the tokens that a model reads",
               "  tercel tokenize \"Unbelievable!\"\n"
               "  tercel tokenize --model bert/tokenizer.json --json --input lines.txt\n"
               "A line a token: id, token, first byte, end.",
               [shared] { run(*shared); });
  options.text("--model", tokenize.model, "PATH",
               "A directory with a tokenizer.json, or that file; default: as for ask");
  options.text("--input", tokenize.input, "FILE", "Texts, one a line; -: standard input");
  options.negative_flag("--no-special-tokens", tokenize.special, "The text's own tokens alone");
  options.flag("--json", tokenize.json, "Print JSON");
  options.texts("text", tokenize.texts, "TEXT", "Texts, each in quotes");
}

}  // namespace tercel::cli
