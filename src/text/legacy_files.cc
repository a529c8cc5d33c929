#include "src/text/legacy_files.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>

#include "src/base/fail.h"
#include "src/base/mapped_file.h"
#include "src/base/utf8.h"
#include "src/text/legacy_config.h"

namespace tercel::text {
namespace {

std::string read_utf8(const std::filesystem::path& path) {
  std::string text = read_text_file(path);
  if (!is_utf8(text)) {
    fail(Errc::invalid_file, "{}: the file is not UTF-8", path.string());
  }
  return text;
}

// Without the line's end.
template <class F>
void for_each_line(std::string_view text, F&& visit) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    visit(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

std::string merges_json(const std::filesystem::path& path) {
  const std::string text = read_utf8(path);
  std::string json = "[";
  std::size_t number = 0;
  for_each_line(text, [&](std::string_view line) {
    ++number;
    if (line.empty() || line.starts_with("#version")) return;
    if (std::count(line.begin(), line.end(), ' ') != 1) {
      fail(Errc::invalid_file, "{}: line {}: expected two tokens with a space between them",
           path.string(), number);
    }
    if (json.size() > 1) json += ',';
    json += json_quote(line);
  });
  return json + "]";
}

// ---------------------------------------------------------------- families of vocab.json

enum class Family { gpt2, roberta, clip };

Family family_of(const LegacyConfig& config, const Json& vocab) {
  if (const auto name = config.find("tokenizer_class")) {
    std::string_view known = name->string();
    if (known.ends_with("Fast")) known.remove_suffix(4);
    if (known == "GPT2Tokenizer") return Family::gpt2;
    if (known == "CLIPTokenizer") return Family::clip;
    for (const std::string_view other :
         {"RobertaTokenizer", "BartTokenizer", "LongformerTokenizer", "LEDTokenizer"}) {
      if (known == other) return Family::roberta;
    }
    fail(Errc::unsupported,
         "a vocab.json of the class {} is not supported; supported are GPT2Tokenizer, "
         "RobertaTokenizer, CLIPTokenizer: save the tokenizer as tokenizer.json",
         name->string());
  }
  if (vocab.find("<|startoftext|>")) return Family::clip;
  return vocab.find("<s>") && vocab.find("</s>") ? Family::roberta : Family::gpt2;
}

std::string byte_level(bool add_prefix_space) {
  return fmt::format(
      R"({{"type": "ByteLevel", "add_prefix_space": {}, "trim_offsets": true, "use_regex": true}})",
      add_prefix_space);
}

struct Stages {
  std::string normalizer = "null";
  std::string pre_tokenizer;
  std::string post_processor = "null";
  std::string decoder = byte_level(false);
  std::string model_members;
};

std::string roberta_processing(const LegacyConfig& config, const std::string& sep,
                               const std::string& cls, bool trim_offsets, bool add_prefix_space) {
  return fmt::format(
      R"({{"type": "RobertaProcessing", "sep": [{}, {}], "cls": [{}, {}], "trim_offsets": {}, )"
      R"("add_prefix_space": {}}})",
      json_quote(sep), config.id_of(sep), json_quote(cls), config.id_of(cls), trim_offsets,
      add_prefix_space);
}

// The special tokens of a family are known before ids are; its stages need the ids.
class FamilyStages {
 public:
  FamilyStages(Family family, LegacyConfig& config)
      : family_(family), prefix_space_(config.boolean_or("add_prefix_space", false)) {
    const bool roberta = family == Family::roberta;
    const std::string_view end = "<|endoftext|>";
    const std::string_view begin = family == Family::clip ? "<|startoftext|>" : end;
    begin_ = config.role("bos_token", roberta ? "<s>" : begin);
    end_ = config.role("eos_token", roberta ? "</s>" : end);
    unknown_ = config.role("unk_token", roberta ? "<unk>" : end);
    if (roberta) sep_ = config.role("sep_token", "</s>");
    config.role("pad_token", roberta ? "<pad>" : family == Family::clip ? end : "");
    if (roberta) cls_ = config.role("cls_token", "<s>");
    if (roberta) config.role("mask_token", "<mask>");
  }

  Stages stages(const LegacyConfig& config) const {
    Stages result;
    result.pre_tokenizer = byte_level(prefix_space_);
    if (family_ == Family::roberta) {
      result.post_processor = roberta_processing(
          config, sep_, cls_, config.boolean_or("trim_offsets", true), prefix_space_);
    }
    if (family_ != Family::clip) return result;
    result.normalizer =
        R"({"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Replace", )"
        R"("pattern": {"Regex": "\\s+"}, "content": " "}, {"type": "Lowercase"}]})";
    result.pre_tokenizer =
        R"({"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": )"
        R"("<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|)"
        R"([^\\s\\p{L}\\p{N}]+"}, "behavior": "Removed", "invert": true}, )" +
        byte_level(false) + "]}";
    result.post_processor = roberta_processing(config, end_, begin_, false, false);
    result.decoder = R"({"type": "Sequence", "decoders": [)" + byte_level(false) +
                     R"(, {"type": "Replace", "pattern": {"String": "</w>"}, "content": " "}, )"
                     R"({"type": "Strip", "content": " ", "start": 1, "stop": 1}]})";
    result.model_members =
        R"("end_of_word_suffix": "</w>", "unk_token": )" + json_quote(unknown_) + ", ";
    return result;
  }

 private:
  Family family_;
  bool prefix_space_;
  std::string begin_;
  std::string end_;
  std::string unknown_;
  std::string sep_;
  std::string cls_;
};

std::string whole_json(const LegacyConfig& config, const Stages& stages, std::string_view model) {
  std::string json = R"({"version": "1.0", "added_tokens": )" + config.added_tokens_json();
  const auto member = [&](std::string_view key, std::string_view value) {
    json += fmt::format(", \"{}\": ", key);
    json += value;
  };
  member("normalizer", stages.normalizer);
  member("pre_tokenizer", stages.pre_tokenizer);
  member("post_processor", stages.post_processor);
  member("decoder", stages.decoder);
  member("model", model);
  return json + "}";
}

}  // namespace

std::string json_of_vocab_and_merges(const std::filesystem::path& vocab,
                                     const std::filesystem::path& merges) {
  const std::string vocab_json = read_utf8(vocab);
  const auto document = JsonDocument::parse(vocab_json, vocab.string());
  const Json root = document.root();
  LegacyConfig config(vocab.parent_path());
  const FamilyStages family(family_of(config, root), config);
  config.assign_ids(
      [&](std::string_view content) {
        const auto id = root.find(content);
        return id ? std::optional<int64_t>(id->integer()) : std::nullopt;
      },
      static_cast<int64_t>(root.size()));
  const Stages stages = family.stages(config);
  const std::string model = R"({"type": "BPE", )" + stages.model_members + R"("vocab": )" +
                            vocab_json + R"(, "merges": )" + merges_json(merges) + "}";
  return whole_json(config, stages, model);
}

std::string json_of_vocab_txt(const std::filesystem::path& vocab) {
  const std::string text = read_utf8(vocab);
  std::unordered_map<std::string_view, int64_t> ids;
  std::string members;
  int64_t next = 0;
  for_each_line(text, [&](std::string_view line) {
    if (next > 0) members += ',';
    members += json_quote(line) + ':' + std::to_string(next);
    ids[line] = next++;
  });
  LegacyConfig config(vocab.parent_path());
  const std::string unknown = config.role("unk_token", "[UNK]");
  const std::string sep = config.role("sep_token", "[SEP]");
  config.role("pad_token", "[PAD]");
  const std::string cls = config.role("cls_token", "[CLS]");
  config.role("mask_token", "[MASK]");
  config.assign_ids(
      [&](std::string_view content) {
        const auto id = ids.find(content);
        return id == ids.end() ? std::nullopt : std::optional<int64_t>(id->second);
      },
      static_cast<int64_t>(ids.size()));
  Stages stages;
  const auto strip_accents = config.find("strip_accents");
  stages.normalizer =
      fmt::format(R"({{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": {}, )"
                  R"("strip_accents": {}, "lowercase": {}}})",
                  config.boolean_or("tokenize_chinese_chars", true),
                  strip_accents ? (strip_accents->boolean() ? "true" : "false") : "null",
                  config.boolean_or("do_lower_case", true));
  stages.pre_tokenizer = R"({"type": "BertPreTokenizer"})";
  stages.post_processor =
      fmt::format(R"({{"type": "BertProcessing", "sep": [{}, {}], "cls": [{}, {}]}})",
                  json_quote(sep), config.id_of(sep), json_quote(cls), config.id_of(cls));
  const std::string model = R"({"type": "WordPiece", "unk_token": )" + json_quote(unknown) +
                            R"(, "continuing_subword_prefix": "##", )"
                            R"("max_input_chars_per_word": 100, "vocab": {)" +
                            members + "}}";
  stages.decoder = R"({"type": "WordPiece", "prefix": "##", "cleanup": true})";
  return whole_json(config, stages, model);
}

}  // namespace tercel::text
