#include <filesystem>

#include "src/base/fail.h"
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

}  // namespace

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
  const bool directory = std::filesystem::is_directory(path, ignored);
  const auto document = JsonDocument::open(directory ? path / "tokenizer.json" : path);
  return Tokenizer(std::make_shared<const Impl>(document.root()));
}

Tokenizer Tokenizer::parse(std::string_view json, std::string source) {
  const auto document = JsonDocument::parse(json, std::move(source));
  return Tokenizer(std::make_shared<const Impl>(document.root()));
}

}  // namespace tercel
