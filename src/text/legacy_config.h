#pragma once
// tokenizer_config.json, special_tokens_map.json and added_tokens.json of one folder; each may be
// missing.

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/json.h"

namespace tercel::text {

struct LegacyToken {
  std::string content;
  std::optional<int64_t> id;
  bool special = false;
  bool single_word = false;
  bool lstrip = false;
  bool rstrip = false;
  bool normalized = false;
};

class LegacyConfig {
 public:
  explicit LegacyConfig(const std::filesystem::path& folder);

  // A member of tokenizer_config.json.
  std::optional<Json> find(std::string_view key) const;
  bool boolean_or(std::string_view key, bool otherwise) const;

  // Adds a token, or what it says to the one of the same content.
  void add(LegacyToken token);
  // Adds the token of a role ("cls_token"), special, and gives its content. `lstrip` is that of
  // `otherwise`.
  std::string role(std::string_view key, std::string_view otherwise, bool lstrip = false);

  // Gives each token its id: find_id's, or the next one from `vocab_size`. Then they are in the
  // order of their ids.
  void assign_ids(const std::function<std::optional<int64_t>(std::string_view)>& find_id,
                  int64_t vocab_size);
  int64_t id_of(std::string_view content) const;
  // The member "added_tokens" of a tokenizer.json.
  std::string added_tokens_json() const;

 private:
  void read_added_tokens(const std::filesystem::path& folder);

  std::optional<JsonDocument> config_;
  std::optional<JsonDocument> special_map_;
  std::vector<LegacyToken> tokens_;
};

// A string as JSON writes it, quotes included. `text` must be UTF-8.
std::string json_quote(std::string_view text);

}  // namespace tercel::text
