#pragma once
// Tokens beside the model's vocabulary, found in the text before it is split: special ones as
// [MASK], and words that were added later.

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/json.h"
#include "src/text/model.h"
#include "src/text/normalizer.h"
#include "src/text/pre_tokenizer.h"

namespace tercel::text {

struct AddedToken {
  std::string content;
  std::string decoded;  // the content, as the normalizer rewrites it if the token is normalized
  int32_t id = -1;
  bool special = false;
  bool single_word = false;  // not where a word goes on before or after it
  bool lstrip = false;       // takes white space before it
  bool rstrip = false;       // takes white space after it
  bool normalized = false;   // is looked for in the normalized text
};

// A part of a text: an added token, or (null) what stands between two of them.
struct TokenMatch {
  const AddedToken* token;
  IndexRange bytes;
};

// Finds tokens from left to right, the longest at each place.
class TokenMatcher {
 public:
  // `pattern` must not be empty and `token` must live as long as this. The first of two equal
  // patterns wins.
  void add(std::string_view pattern, const AddedToken* token);
  bool empty() const { return nodes_.empty(); }
  // Appends parts that cover `text`.
  void split(std::string_view text, std::vector<TokenMatch>& parts) const;

 private:
  struct Node {
    std::map<unsigned char, uint32_t> next;
    const AddedToken* token = nullptr;
  };
  struct Hit {
    const AddedToken* token = nullptr;
    std::size_t end = 0;
  };
  Hit longest_at(std::string_view text, std::size_t at) const;

  std::vector<Node> nodes_;
  std::array<bool, 256> starts_{};
};

class AddedTokens {
 public:
  // `list` is the file's "added_tokens". Throws Errc::invalid_file.
  AddedTokens(const std::optional<Json>& list, const Model& model, const Normalizer* normalizer);
  AddedTokens(const AddedTokens&) = delete;
  AddedTokens& operator=(const AddedTokens&) = delete;

  const TokenMatcher& raw() const { return raw_; }
  const TokenMatcher& normalized() const { return normalized_; }
  const AddedToken* find(std::string_view content) const;
  const AddedToken* find(int32_t id) const;
  bool is_special(std::string_view token) const { return special_.count(token) != 0; }
  // Tokens that the model does not have.
  std::size_t beyond_model() const { return beyond_model_; }

 private:
  void add(AddedToken token, const Model& model, const Normalizer* normalizer);

  std::map<std::string, int32_t, std::less<>> ids_;
  std::map<int32_t, AddedToken> tokens_;
  std::set<std::string, std::less<>> special_;
  std::size_t beyond_model_ = 0;
  int64_t next_id_ = 0;
  TokenMatcher raw_;
  TokenMatcher normalized_;
};

}  // namespace tercel::text
