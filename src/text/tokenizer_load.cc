#include <algorithm>
#include <filesystem>
#include <span>

#include "src/base/fail.h"
#include "src/base/in_file.h"
#include "src/base/mapped_file.h"
#include "src/text/legacy_files.h"
#include "src/text/sentencepiece/stages.h"
#include "src/text/tokenizer_impl.h"

namespace tercel {
namespace {

template <class Stage>
std::unique_ptr<const Stage> read_stage(const Json& root, std::string_view key,
                                        std::unique_ptr<const Stage> (*make)(const Json&)) {
  const auto config = root.find(key);
  return config ? make(*config) : nullptr;
}

std::size_t read_size(const Json& config, std::string_view key) {
  const Json number = config[key];
  if (number.integer() < 0) number.reject("a number that is not negative");
  return static_cast<std::size_t>(number.integer());
}

TextDirection read_direction(const Json& config) {
  const auto direction = config.find("direction");
  if (!direction || direction->string() == "Right") return TextDirection::right;
  if (direction->string() == "Left") return TextDirection::left;
  direction->reject("\"Right\" or \"Left\"");
}

Truncation read_truncation(const Json& config) {
  Truncation result;
  result.direction = read_direction(config);
  result.max_length = read_size(config, "max_length");
  result.stride = read_size(config, "stride");
  const Json strategy = config["strategy"];
  if (strategy.string() == "OnlyFirst") {
    result.strategy = TruncationStrategy::only_first;
  } else if (strategy.string() == "OnlySecond") {
    result.strategy = TruncationStrategy::only_second;
  } else if (strategy.string() != "LongestFirst") {
    strategy.reject("\"LongestFirst\", \"OnlyFirst\" or \"OnlySecond\"");
  }
  return result;
}

Padding read_padding(const Json& config) {
  Padding result;
  const Json strategy = config["strategy"];
  if (strategy.is_object()) {
    result.length = read_size(strategy, "Fixed");
  } else if (strategy.string() != "BatchLongest") {
    strategy.reject("\"BatchLongest\" or {\"Fixed\": length}");
  }
  result.direction = read_direction(config);
  if (config.find("pad_to_multiple_of")) {
    result.multiple_of = read_size(config, "pad_to_multiple_of");
  }
  result.pad_id = text::read_id(config["pad_id"]);
  result.pad_type_id = text::read_id(config["pad_type_id"]);
  return result;
}

// ---------------------------------------------------------------- which file

namespace fs = std::filesystem;

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// The SentencePiece model of a folder, by the names that are in use, or else the first; or nothing.
fs::path find_sentencepiece(const fs::path& folder) {
  for (const char* name : {"tokenizer.model", "spiece.model", "sentencepiece.bpe.model"}) {
    if (is_there(folder / name)) return folder / name;
  }
  fs::path first;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() != ".model") continue;
    if (first.empty() || entry.path() < first) first = entry.path();
  }
  return first;
}

// The file of a folder that says the whole tokenizer.
fs::path find_tokenizer(const fs::path& folder) {
  if (is_there(folder / "tokenizer.json")) return folder / "tokenizer.json";
  if (const fs::path model = find_sentencepiece(folder); !model.empty()) return model;
  for (const char* name : {"vocab.json", "vocab.txt"}) {
    if (is_there(folder / name)) return folder / name;
  }
  fail(
      Errc::not_found,
      "{}: no tokenizer is here: expected tokenizer.json, a SentencePiece *.model, vocab.json with "
      "merges.txt, or vocab.txt",
      folder.string());
}

}  // namespace

Tokenizer::Impl::Impl(const text::SentencePieceFile& file)
    : normalizer(text::make_sentencepiece_normalizer(file)),
      model(text::make_sentencepiece_model(file)),
      decoder(text::make_sentencepiece_decoder(file)),
      added(std::make_unique<text::AddedTokens>(std::nullopt, *model, normalizer.get())) {}

Tokenizer::Impl::Impl(const Json& root) {
  if (const auto version = root.find("version"); version && version->string() != "1.0") {
    version->reject("version \"1.0\" of the format");
  }
  model = text::make_model(root["model"]);
  normalizer = read_stage<text::Normalizer>(root, "normalizer", text::make_normalizer);
  pre_tokenizer = read_stage<text::PreTokenizer>(root, "pre_tokenizer", text::make_pre_tokenizer);
  post_processor =
      read_stage<text::PostProcessor>(root, "post_processor", text::make_post_processor);
  decoder = read_stage<text::Decoder>(root, "decoder", text::make_decoder);
  added = std::make_unique<text::AddedTokens>(root.find("added_tokens"), *model, normalizer.get());
  if (const auto truncation = root.find("truncation")) {
    defaults.truncation = read_truncation(*truncation);
  }
  if (const auto padding = root.find("padding")) defaults.padding = read_padding(*padding);
}

Tokenizer Tokenizer::load(const std::filesystem::path& path) {
  std::error_code ignored;
  const bool is_folder = fs::is_directory(path, ignored);
  const fs::path file = is_folder ? find_tokenizer(path) : path;
  if (file.extension() == ".model") {
    const auto json = is_folder ? text::json_of_sentencepiece(file) : std::nullopt;
    if (json) return parse(*json, file.string());
    const auto mapped = MappedFile::open(file);
    const auto bytes = mapped->bytes();
    return parse_sentencepiece({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                               file.string());
  }
  if (file.filename() == "vocab.json" || file.filename() == "merges.txt") {
    const fs::path folder = file.parent_path();
    return parse(text::json_of_vocab_and_merges(folder / "vocab.json", folder / "merges.txt"),
                 file.string());
  }
  if (file.extension() == ".txt") return parse(text::json_of_vocab_txt(file), file.string());
  return in_file(file, [&] {
    const auto document = JsonDocument::open(file);
    return Tokenizer(std::make_shared<const Impl>(document.root()));
  });
}

Tokenizer Tokenizer::parse(std::string_view json, std::string source) {
  return in_file(source, [&] {
    const auto document = JsonDocument::parse(json, source);
    return Tokenizer(std::make_shared<const Impl>(document.root()));
  });
}

Tokenizer Tokenizer::parse_sentencepiece(std::string_view bytes, std::string source) {
  const auto file = text::read_sentencepiece(std::as_bytes(std::span(bytes)), std::move(source));
  return Tokenizer(std::make_shared<const Impl>(file));
}

}  // namespace tercel
