// WordLevel: each word is a token of the vocabulary, or the unknown token.

#include "src/base/fail.h"
#include "src/text/models/vocabulary_model.h"

namespace tercel::text {
namespace {

class WordLevel final : public VocabularyModel {
 public:
  explicit WordLevel(const Json& config)
      : VocabularyModel(config["vocab"]),
        unknown_token_(config["unk_token"].string()),
        unknown_id_(vocabulary_.find(unknown_token_)) {}

  void tokenize(std::string_view word, std::vector<ModelToken>& tokens) const override {
    auto id = vocabulary_.find(word);
    if (!id) id = unknown_id_;
    if (!id) {
      fail(Errc::invalid_file,
           "the text needs the unknown token \"{}\", which the vocabulary lacks", unknown_token_);
    }
    tokens.push_back({*id, 0, static_cast<uint32_t>(word.size())});
  }

 private:
  std::string unknown_token_;
  std::optional<int32_t> unknown_id_;
};

}  // namespace

std::unique_ptr<const Model> make_wordlevel(const Json& config) {
  return std::make_unique<WordLevel>(config);
}

}  // namespace tercel::text
