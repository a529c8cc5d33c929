#pragma once
// What all kinds of SentencePiece models share: the pieces by id and by text, and how unknown text
// becomes tokens.

#include <array>
#include <cstdint>
#include <vector>

#include "src/text/model.h"
#include "src/text/sentencepiece/model_file.h"
#include "src/text/vocabulary.h"

namespace tercel::text {

class SentencePieces {
 public:
  // Throws Errc::invalid_file when two pieces are equal.
  explicit SentencePieces(const SentencePieceFile& file);

  const Vocabulary& vocabulary() const { return vocabulary_; }
  PieceType type(int32_t id) const { return types_[static_cast<std::size_t>(id)]; }
  float score(int32_t id) const { return scores_[static_cast<std::size_t>(id)]; }
  int32_t unknown_id() const { return unknown_id_; }
  // The id of a piece that text may contain, or -1: not that of the unknown piece, a control symbol
  // or a byte.
  int32_t find_textual(std::string_view text) const;

  // Appends the piece text[begin, end). Unknown ones become bytes if the model has them; else those
  // side by side, where `previous` was unknown too, become one.
  void append(std::string_view text, int32_t id, uint32_t begin, uint32_t end,
              std::vector<ModelToken>& tokens, bool& after_unknown) const;

 private:
  Vocabulary vocabulary_;
  std::vector<PieceType> types_;
  std::vector<float> scores_;
  int32_t unknown_id_;
  bool byte_fallback_;
  std::array<int32_t, 256> bytes_{};
};

}  // namespace tercel::text
