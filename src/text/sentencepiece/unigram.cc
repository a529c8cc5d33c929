// SentencePiece's unigram model over a normalized text.

#include <algorithm>
#include <cfloat>

#include "src/text/models/best_path.h"
#include "src/text/sentencepiece/models.h"

namespace tercel::text {
namespace {

// The library's constants and types are part of the result: sums are f32.
class SentencePieceUnigram final : public SentencePieceModel {
 public:
  explicit SentencePieceUnigram(const SentencePieceFile& file)
      : SentencePieceModel(file), trie_(entries(file)) {
    float least = FLT_MAX;
    float most = FLT_MIN;
    for (const SentencePiece& piece : file.pieces) {
      if (piece.type != PieceType::normal) continue;
      least = std::min(least, piece.score);
      most = std::max(most, piece.score);
    }
    constexpr float kUnknownPenalty = 10;
    unknown_score_ = least - kUnknownPenalty;
    scores_.reserve(file.pieces.size());
    for (const SentencePiece& piece : file.pieces) {
      // So that user-defined symbols are always taken.
      const float bonus = static_cast<float>(piece.text.size()) * most - 0.1F;
      scores_.push_back(piece.type == PieceType::user_defined ? bonus : piece.score);
    }
  }

  void tokenize(std::string_view word, std::vector<ModelToken>& tokens) const override {
    std::vector<PathPiece> path;
    best_path<float>(trie_, scores_, unknown_score_, word, path, [] {});
    bool after_unknown = false;
    for (const PathPiece& piece : path) {
      const int32_t id = piece.id == kUnknownPiece ? pieces().unknown_id() : piece.id;
      pieces().append(word, id, piece.begin, piece.end, tokens, after_unknown);
    }
  }

 private:
  static std::vector<Trie::Entry> entries(const SentencePieceFile& file) {
    std::vector<Trie::Entry> result;
    int32_t id = 0;
    for (const SentencePiece& piece : file.pieces) {
      if (piece.type == PieceType::normal || piece.type == PieceType::user_defined) {
        result.emplace_back(piece.text, id);
      }
      ++id;
    }
    return result;
  }

  Trie trie_;
  std::vector<float> scores_;
  float unknown_score_;
};

}  // namespace

std::unique_ptr<const Model> make_sentencepiece_unigram(const SentencePieceFile& file) {
  return std::make_unique<SentencePieceUnigram>(file);
}

}  // namespace tercel::text
