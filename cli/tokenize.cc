#include <charconv>

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
  bool decode = false;
  bool json = false;
};

// "101 7592, 102"
std::vector<int32_t> read_ids(std::string_view text) {
  std::vector<int32_t> ids;
  while (true) {
    const std::size_t begin = text.find_first_not_of(" ,\t\r\n");
    if (begin == std::string_view::npos) return ids;
    text.remove_prefix(begin);
    int32_t id = 0;
    const auto end = std::from_chars(text.data(), text.data() + text.size(), id);
    if (end.ec != std::errc()) {
      reject("--decode: expected ids with spaces between them, found \"{}\"",
             text.substr(0, text.find_first_of(" ,\t\r\n")));
    }
    ids.push_back(id);
    text.remove_prefix(static_cast<std::size_t>(end.ptr - text.data()));
  }
}

// A text a line of ids; all arguments together are one line.
void decode(const Tokenizer& tokenizer, const TokenizeOptions& options) {
  std::vector<std::string> lines = read_texts(options.texts, options.input);
  if (options.input.empty()) {
    std::string all;
    for (const std::string& line : lines) all += line + " ";
    lines = {std::move(all)};
  }
  Json list = Json::array();
  for (const std::string& line : lines) {
    const std::vector<int32_t> ids = read_ids(line);
    if (options.json) {
      list.push_back({{"ids", ids}, {"text", tokenizer.decode(ids, !options.special)}});
      continue;
    }
    DecodeStream stream(tokenizer, !options.special);
    for (const int32_t id : ids) print(stream.push(id));
    print(stream.finish() + "\n");
  }
  if (options.json) print(to_text(list));
}

void run(const TokenizeOptions& options) {
  const auto path = find_model(options.model);
  const auto tokenizer = Tokenizer::load(path.extension() == ".onnx" ? path.parent_path() : path);
  if (options.decode) return decode(tokenizer, options);
  const auto texts = read_texts(options.texts, options.input);
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
      line.add("tokenize", "Show the tokens that a model reads, or the text of ids",
               "  tercel tokenize \"Unbelievable!\"\n"
               "  tercel tokenize --decode 101 2054 2003 102\n"
               "  tercel tokenize --model bert/tokenizer.json --json --input lines.txt\n"
               "A line a token: id, token, first byte, end.",
               [shared] { run(*shared); });
  options.text(
      "--model", tokenize.model, "PATH",
      "A directory with a tokenizer.json, SentencePiece model, vocab.json or vocab.txt, or "
      "that file; default: as for ask");
  options.text("--input", tokenize.input, "FILE", "Texts, one a line; -: standard input");
  options.flag("--decode", tokenize.decode, "Texts are ids; show the text that they stand for");
  options.negative_flag("--no-special-tokens", tokenize.special, "The text's own tokens alone");
  options.flag("--json", tokenize.json, "Print JSON");
  options.texts("text", tokenize.texts, "TEXT", "Texts, each in quotes, or ids");
}

}  // namespace tercel::cli
