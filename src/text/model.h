#pragma once
// The model turns a word into tokens of the vocabulary. One file per kind in models/, one row each
// in model.cc.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/json.h"

namespace tercel::text {

struct ModelToken {
  int32_t id;
  uint32_t begin;  // bytes of the word
  uint32_t end;
};

class Model {
 public:
  virtual ~Model() = default;
  // Appends the tokens of one word, which is not empty. A token may stand for a part of a
  // character, and its range be empty or, with strange files, lie beyond the word.
  virtual void tokenize(std::string_view word, std::vector<ModelToken>& tokens) const = 0;
  virtual std::optional<int32_t> token_to_id(std::string_view token) const = 0;
  // Valid while the model lives.
  virtual std::optional<std::string_view> id_to_token(int32_t id) const = 0;
  virtual std::size_t vocab_size() const = 0;
};

std::unique_ptr<const Model> make_model(const Json& config);

std::unique_ptr<const Model> make_bpe(const Json& config);
std::unique_ptr<const Model> make_unigram(const Json& config);
std::unique_ptr<const Model> make_wordlevel(const Json& config);
std::unique_ptr<const Model> make_wordpiece(const Json& config);

}  // namespace tercel::text
