#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <unordered_map>

#include "src/base/fail.h"
#include "src/base/mapped_file.h"
#include "src/text/base64.h"
#include "src/text/legacy_config.h"
#include "src/text/legacy_files.h"
#include "src/text/sentencepiece/model_file.h"

namespace tercel::text {
namespace {

// How a family numbers the pieces, and what it puts around a text.
struct SentencePieceFamily {
  std::string_view tokenizer_class;
  std::string_view model_type;
  // The first ids, and how many of the file's pieces they stand for.
  std::span<const std::string_view> first_tokens;
  std::size_t pieces_replaced;
  std::string_view begin;
  std::string_view end;
  std::string_view pad;
  std::string_view mask;
  bool mask_strips;  // white space before it is a part of it
  bool doubles_end;  // between two texts, which are then of one type
};

constexpr std::string_view kXlmRobertaFirst[] = {"<s>", "<pad>", "</s>", "<unk>"};
constexpr std::string_view kCamembertFirst[] = {"<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>",
                                                "<unk>NOTUSED"};

constexpr SentencePieceFamily kFamilies[] = {
    {"DebertaV2Tokenizer", "deberta-v2", {}, 0, "[CLS]", "[SEP]", "[PAD]", "[MASK]", false, false},
    {"AlbertTokenizer", "albert", {}, 0, "[CLS]", "[SEP]", "<pad>", "[MASK]", true, false},
    {"XLMRobertaTokenizer", "xlm-roberta", kXlmRobertaFirst, 3, "<s>", "</s>", "<pad>", "<mask>",
     true, true},
    {"CamembertTokenizer", "camembert", kCamembertFirst, 1, "<s>", "</s>", "<pad>", "<mask>", true,
     true},
};

const SentencePieceFamily* find_family(const std::filesystem::path& folder,
                                       const LegacyConfig& config) {
  std::error_code ignored;
  std::string tokenizer_class;
  std::string model_type;
  if (const auto name = config.find("tokenizer_class")) {
    tokenizer_class = name->string();
    if (tokenizer_class.ends_with("Fast")) tokenizer_class.resize(tokenizer_class.size() - 4);
  } else if (std::filesystem::exists(folder / "config.json", ignored)) {
    model_type = JsonDocument::open(folder / "config.json").root().string_or("model_type", "");
  }
  const auto* known =
      std::find_if(std::begin(kFamilies), std::end(kFamilies), [&](const auto& family) {
        return family.tokenizer_class == tokenizer_class || family.model_type == model_type;
      });
  return known == std::end(kFamilies) ? nullptr : known;
}

std::string vocabulary_json(const SentencePieceFamily& family, const SentencePieceFile& file) {
  std::string json = "[";
  const auto append = [&](std::string_view token, double score) {
    json += fmt::format("{}[{}, {}]", json.size() > 1 ? ", " : "", json_quote(token), score);
  };
  for (const std::string_view token : family.first_tokens) {
    append(token, token == "<unk>NOTUSED" ? -100 : 0);
  }
  for (std::size_t i = family.pieces_replaced; i < file.pieces.size(); ++i) {
    append(file.pieces[i].text, static_cast<double>(file.pieces[i].score));
  }
  return json + "]";
}

std::string normalizer_json(const SentencePieceFamily& family, const SentencePieceFile& file,
                            const LegacyConfig& config) {
  const bool albert = family.model_type == "albert";
  std::string json = R"({"type": "Sequence", "normalizers": [)";
  if (albert) {
    for (const char* quotes : {"``", "''"}) {
      json += fmt::format(
          R"({{"type": "Replace", "pattern": {{"String": "{}"}}, "content": "\""}}, )", quotes);
    }
    if (!config.boolean_or("keep_accents", false)) {
      json += R"({"type": "NFKD"}, {"type": "StripAccents"}, )";
    }
  }
  if (config.boolean_or("do_lower_case", albert)) json += R"({"type": "Lowercase"}, )";
  json += R"({"type": "Strip", "strip_left": true, "strip_right": true}, )";
  if (!file.chars_map.empty()) {
    json += R"({"type": "Precompiled", "precompiled_charsmap": ")" + encode_base64(file.chars_map) +
            R"("}, )";
  }
  return json + R"({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]})";
}

std::string processor_json(const SentencePieceFamily& family, const LegacyConfig& config,
                           const std::string& begin, const std::string& end) {
  const auto special = [](const std::string& token, int type) {
    return fmt::format(R"({{"SpecialToken": {{"id": {}, "type_id": {}}}}})", json_quote(token),
                       type);
  };
  const auto text = [](char name, int type) {
    return fmt::format(R"({{"Sequence": {{"id": "{}", "type_id": {}}}}})", name, type);
  };
  const auto token = [&](const std::string& content) {
    return fmt::format(R"({0}: {{"id": {0}, "ids": [{1}], "tokens": [{0}]}})", json_quote(content),
                       config.id_of(content));
  };
  const int second = family.doubles_end ? 0 : 1;
  const std::string single = special(begin, 0) + ", " + text('A', 0) + ", " + special(end, 0);
  return R"({"type": "TemplateProcessing", "single": [)" + single + R"(], "pair": [)" + single +
         (family.doubles_end ? ", " + special(end, 0) : "") + ", " + text('B', second) + ", " +
         special(end, second) + R"(], "special_tokens": {)" + token(begin) + ", " + token(end) +
         "}}";
}

using PieceIds = std::unordered_map<std::string_view, int64_t>;

// Those of control and user-defined pieces are found in a text as they are: config gets them.
PieceIds number_pieces(const SentencePieceFamily& family, const SentencePieceFile& file,
                       LegacyConfig& config) {
  const std::size_t first = family.first_tokens.size();
  if (file.pieces.size() < family.pieces_replaced) {
    fail(Errc::invalid_file, "{}: {} pieces, which are fewer than {} has", file.source,
         file.pieces.size(), family.tokenizer_class);
  }
  PieceIds ids;
  for (std::size_t i = 0; i < first; ++i) {
    ids.emplace(family.first_tokens[i], static_cast<int64_t>(i));
  }
  for (std::size_t i = family.pieces_replaced; i < file.pieces.size(); ++i) {
    const SentencePiece& piece = file.pieces[i];
    ids.emplace(piece.text, static_cast<int64_t>(first + i - family.pieces_replaced));
    const bool control = piece.type == PieceType::control;
    if (control || piece.type == PieceType::user_defined) {
      config.add({.content = std::string(piece.text), .special = control});
    }
  }
  return ids;
}

}  // namespace

std::optional<std::string> json_of_sentencepiece(const std::filesystem::path& model) {
  const std::filesystem::path folder = model.parent_path();
  LegacyConfig config(folder);
  const SentencePieceFamily* family = find_family(folder, config);
  if (family == nullptr) return std::nullopt;
  const auto mapped = MappedFile::open(model);
  const SentencePieceFile file = read_sentencepiece(mapped->bytes(), model.string());
  if (file.kind != SentencePieceFile::Kind::unigram) {
    fail(Errc::unsupported,
         "{}: a model of the kind BPE is not supported for {}, whose models are Unigram; save the "
         "tokenizer as tokenizer.json",
         model.string(), family->tokenizer_class);
  }
  const std::size_t first = family->first_tokens.size();
  const PieceIds ids = number_pieces(*family, file, config);
  const std::size_t unknown =
      first > 0 ? 3 : static_cast<std::size_t>(std::max(0, file.unknown_id));
  const std::string_view unknown_piece = first > 0                      ? family->first_tokens[3]
                                         : unknown < file.pieces.size() ? file.pieces[unknown].text
                                                                        : std::string_view();
  const std::string begin = config.role("cls_token", family->begin);
  const std::string end = config.role("sep_token", family->end);
  config.role("unk_token", unknown_piece);
  config.role("pad_token", family->pad);
  config.role("mask_token", family->mask, family->mask_strips);
  config.assign_ids(
      [&](std::string_view content) {
        const auto id = ids.find(content);
        return id == ids.end() ? std::nullopt : std::optional<int64_t>(id->second);
      },
      static_cast<int64_t>(first + file.pieces.size() - family->pieces_replaced));
  const std::string metaspace =
      R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true})";
  const std::string punctuation = config.boolean_or("split_by_punct", false)
                                      ? R"({"type": "Punctuation", "behavior": "Isolated"}, )"
                                      : R"({"type": "WhitespaceSplit"}, )";
  return R"({"version": "1.0", "added_tokens": )" + config.added_tokens_json() +
         R"(, "normalizer": )" + normalizer_json(*family, file, config) +
         R"(, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [)" + punctuation + metaspace +
         R"(]}, "post_processor": )" + processor_json(*family, config, begin, end) +
         R"(, "decoder": )" + metaspace +
         fmt::format(R"(, "model": {{"type": "Unigram", "unk_id": {}, "vocab": )", unknown) +
         vocabulary_json(*family, file) + "}}";
}

}  // namespace tercel::text
