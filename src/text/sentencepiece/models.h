#pragma once
// SentencePiece's models.

#include <memory>
#include <optional>

#include "src/text/models/trie.h"
#include "src/text/sentencepiece/pieces.h"

namespace tercel::text {

class SentencePieceModel : public Model {
 public:
  explicit SentencePieceModel(const SentencePieceFile& file) : pieces_(file) {}
  std::optional<int32_t> token_to_id(std::string_view token) const override {
    return pieces_.vocabulary().find(token);
  }
  std::optional<std::string_view> id_to_token(int32_t id) const override {
    return pieces_.vocabulary().token(id);
  }
  std::size_t vocab_size() const override { return pieces_.vocabulary().size(); }

 protected:
  const SentencePieces& pieces() const { return pieces_; }

 private:
  SentencePieces pieces_;
};

// The user-defined symbols of a model: models that begin with characters take these as one.
class UserSymbols {
 public:
  explicit UserSymbols(const SentencePieceFile& file);
  struct First {
    uint32_t length;
    bool is_symbol;  // else one character
  };
  First first_of(std::string_view text) const;  // the longest symbol; `text` is not empty

 private:
  Trie trie_;
};

std::unique_ptr<const Model> make_sentencepiece_unigram(const SentencePieceFile& file);
std::unique_ptr<const Model> make_sentencepiece_bpe(const SentencePieceFile& file);
std::unique_ptr<const Model> make_sentencepiece_plain(const SentencePieceFile& file);  // word, char

}  // namespace tercel::text
