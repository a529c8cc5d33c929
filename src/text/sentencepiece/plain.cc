// SentencePiece's models that cut the normalized text without looking at their pieces: at each
// space, or at each character.

#include <algorithm>

#include "src/text/sentencepiece/models.h"
#include "src/text/sentencepiece/stages.h"
#include "src/text/utf8.h"

namespace tercel::text {
namespace {

// Length of the text to the next space that is not its first character.
uint32_t first_word(std::string_view text) {
  const std::size_t next = text.find(kVisibleSpace, 1);
  return static_cast<uint32_t>(std::min(next, text.size()));
}

class SentencePiecePlain final : public SentencePieceModel {
 public:
  explicit SentencePiecePlain(const SentencePieceFile& file)
      : SentencePieceModel(file),
        words_(file.kind == SentencePieceFile::Kind::word),
        symbols_(file) {}

  void tokenize(std::string_view word, std::vector<ModelToken>& tokens) const override {
    bool after_unknown = false;
    for (uint32_t begin = 0; begin < word.size();) {
      const std::string_view rest = word.substr(begin);
      const uint32_t length = words_ ? first_word(rest) : symbols_.first_of(rest).length;
      const std::string_view piece = rest.substr(0, length);
      const int32_t id = pieces().vocabulary().find(piece).value_or(pieces().unknown_id());
      pieces().append(word, id, begin, begin + length, tokens, after_unknown);
      begin += length;
    }
  }

 private:
  bool words_;
  UserSymbols symbols_;
};

}  // namespace

UserSymbols::UserSymbols(const SentencePieceFile& file)
    : trie_([&] {
        std::vector<Trie::Entry> symbols;
        for (const SentencePiece& piece : file.pieces) {
          if (piece.type == PieceType::user_defined) symbols.emplace_back(piece.text, 0);
        }
        return symbols;
      }()) {}

UserSymbols::First UserSymbols::first_of(std::string_view text) const {
  uint32_t length = 0;
  uint32_t node = Trie::kRoot;
  for (uint32_t at = 0; at < text.size(); ++at) {
    node = trie_.step(node, static_cast<unsigned char>(text[at]));
    if (node == Trie::kRoot) break;
    if (trie_.value(node) >= 0) length = at + 1;
  }
  if (length > 0) return {length, true};
  return {static_cast<uint32_t>(decode_first(text).length), false};
}

std::unique_ptr<const Model> make_sentencepiece_plain(const SentencePieceFile& file) {
  return std::make_unique<SentencePiecePlain>(file);
}

}  // namespace tercel::text
