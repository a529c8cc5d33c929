#include "src/text/legacy_config.h"

#include <algorithm>
#include <charconv>

#include "src/base/fail.h"

namespace tercel::text {
namespace {

std::optional<JsonDocument> open_if_there(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return std::nullopt;
  return JsonDocument::open(path);
}

// "[CLS]", or an object with its content and how it is found in text.
LegacyToken read_token(const Json& value) {
  LegacyToken token;
  if (value.is_string()) {
    token.content = value.string();
    return token;
  }
  token.content = value["content"].string();
  token.special = value.boolean_or("special", false);
  token.single_word = value.boolean_or("single_word", false);
  token.lstrip = value.boolean_or("lstrip", false);
  token.rstrip = value.boolean_or("rstrip", false);
  token.normalized = value.boolean_or("normalized", false);
  return token;
}

}  // namespace

LegacyConfig::LegacyConfig(const std::filesystem::path& folder)
    : config_(open_if_there(folder / "tokenizer_config.json")),
      special_map_(open_if_there(folder / "special_tokens_map.json")) {
  read_added_tokens(folder);
}

void LegacyConfig::read_added_tokens(const std::filesystem::path& folder) {
  if (const auto decoder = find("added_tokens_decoder")) {
    decoder->for_each_member([&](std::string_view key, const Json& value) {
      LegacyToken token = read_token(value);
      int64_t id = 0;
      const auto end = std::from_chars(key.data(), key.data() + key.size(), id);
      if (end.ec != std::errc() || end.ptr != key.data() + key.size()) {
        value.reject("a token under its id");
      }
      token.id = id;
      add(std::move(token));
    });
  }
  if (const auto added = open_if_there(folder / "added_tokens.json")) {
    added->root().for_each_member([&](std::string_view content, const Json& id) {
      LegacyToken token;
      token.content = content;
      token.id = id.integer();
      token.normalized = true;
      add(std::move(token));
    });
  }
  for (const auto* document : {&config_, &special_map_}) {
    if (!*document) continue;
    if (const auto more = (*document)->root().find("additional_special_tokens")) {
      more->for_each([&](const Json& value) {
        LegacyToken token = read_token(value);
        token.special = true;
        add(std::move(token));
      });
    }
  }
}

std::optional<Json> LegacyConfig::find(std::string_view key) const {
  return config_ ? config_->root().find(key) : std::nullopt;
}

bool LegacyConfig::boolean_or(std::string_view key, bool otherwise) const {
  return config_ ? config_->root().boolean_or(key, otherwise) : otherwise;
}

std::string LegacyConfig::role(std::string_view key, std::string_view otherwise, bool lstrip) {
  LegacyToken token;
  token.content = otherwise;
  token.lstrip = lstrip;
  auto value = find(key);
  if (!value && special_map_) value = special_map_->root().find(key);
  if (value) token = read_token(*value);
  token.special = true;
  std::string content = token.content;
  if (!content.empty()) add(std::move(token));
  return content;
}

void LegacyConfig::add(LegacyToken token) {
  const auto known = std::find_if(tokens_.begin(), tokens_.end(), [&](const LegacyToken& other) {
    return other.content == token.content;
  });
  if (known == tokens_.end()) {
    tokens_.push_back(std::move(token));
    return;
  }
  // What a role makes special is looked for as it is written.
  if (token.special && !known->special) known->normalized = token.normalized;
  known->special = known->special || token.special;
  if (!known->id) known->id = token.id;
}

void LegacyConfig::assign_ids(
    const std::function<std::optional<int64_t>(std::string_view)>& find_id, int64_t vocab_size) {
  const auto order = [](const LegacyToken& a, const LegacyToken& b) {
    return a.id.value_or(INT64_MAX) < b.id.value_or(INT64_MAX);
  };
  std::stable_sort(tokens_.begin(), tokens_.end(), order);
  for (LegacyToken& token : tokens_) {
    const auto id = find_id(token.content);
    token.id = id ? *id : vocab_size++;
  }
  std::stable_sort(tokens_.begin(), tokens_.end(), order);
}

int64_t LegacyConfig::id_of(std::string_view content) const {
  for (const LegacyToken& token : tokens_) {
    if (token.content == content) return token.id.value_or(0);
  }
  return 0;
}

std::string LegacyConfig::added_tokens_json() const {
  std::string json = "[";
  for (const LegacyToken& token : tokens_) {
    json += fmt::format(
        R"({}{{"id": {}, "content": {}, "special": {}, "single_word": {}, "lstrip": {}, )"
        R"("rstrip": {}, "normalized": {}}})",
        json.size() > 1 ? ", " : "", token.id.value_or(0), json_quote(token.content), token.special,
        token.single_word, token.lstrip, token.rstrip, token.normalized);
  }
  return json + "]";
}

std::string json_quote(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      result += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      result += c;
    }
  }
  return result + "\"";
}

}  // namespace tercel::text
