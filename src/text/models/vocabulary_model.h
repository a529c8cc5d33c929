#pragma once
// A model whose tokens are those of one vocabulary.

#include "src/text/model.h"
#include "src/text/vocabulary.h"

namespace tercel::text {

class VocabularyModel : public Model {
 public:
  explicit VocabularyModel(const Json& vocabulary) : vocabulary_(vocabulary) {}

  std::optional<int32_t> token_to_id(std::string_view token) const final {
    return vocabulary_.find(token);
  }
  std::optional<std::string_view> id_to_token(int32_t id) const final {
    return vocabulary_.token(id);
  }
  std::size_t vocab_size() const final { return vocabulary_.size(); }

 protected:
  Vocabulary vocabulary_;
};

}  // namespace tercel::text
