#include "src/text/sentencepiece/pieces.h"

#include "src/base/fail.h"
#include "src/text/decoder.h"

namespace tercel::text {
namespace {

std::vector<std::string_view> texts_of(const SentencePieceFile& file) {
  std::vector<std::string_view> texts;
  texts.reserve(file.pieces.size());
  for (const SentencePiece& piece : file.pieces) texts.push_back(piece.text);
  return texts;
}

}  // namespace

SentencePieces::SentencePieces(const SentencePieceFile& file)
    : vocabulary_(texts_of(file)),
      unknown_id_(file.unknown_id),
      byte_fallback_(file.byte_fallback) {
  if (vocabulary_.size() != file.pieces.size()) {
    fail(Errc::invalid_file, "{}: {} pieces, but only {} different ones", file.source,
         file.pieces.size(), vocabulary_.size());
  }
  types_.reserve(file.pieces.size());
  scores_.reserve(file.pieces.size());
  for (const SentencePiece& piece : file.pieces) {
    if (piece.type == PieceType::byte) {
      bytes_[static_cast<std::size_t>(byte_of_token(piece.text))] =
          static_cast<int32_t>(types_.size());
    }
    types_.push_back(piece.type);
    scores_.push_back(piece.score);
  }
}

int32_t SentencePieces::find_textual(std::string_view text) const {
  if (text.size() > vocabulary_.longest()) return -1;
  const int32_t id = vocabulary_.find(text).value_or(-1);
  if (id < 0) return -1;
  const PieceType found = type(id);
  const bool textual =
      found == PieceType::normal || found == PieceType::user_defined || found == PieceType::unused;
  return textual ? id : -1;
}

void SentencePieces::append(std::string_view text, int32_t id, uint32_t begin, uint32_t end,
                            std::vector<ModelToken>& tokens, bool& after_unknown) const {
  const bool unknown = id == unknown_id_;
  if (unknown && byte_fallback_) {
    // The last byte stands for the text of all.
    for (uint32_t i = begin; i < end; ++i) {
      const uint32_t reach = i + 1 == end ? end : begin;
      tokens.push_back({bytes_[static_cast<unsigned char>(text[i])], begin, reach});
    }
  } else if (unknown && after_unknown) {
    tokens.back().end = end;
  } else {
    tokens.push_back({id, begin, end});
  }
  after_unknown = unknown;
}

}  // namespace tercel::text
