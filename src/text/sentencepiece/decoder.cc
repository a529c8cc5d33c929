// Decoding as SentencePiece does it: visible spaces become spaces, the one that the normalizer put
// first goes, bytes become characters, control symbols nothing.

#include <set>

#include "src/text/sentencepiece/stages.h"
#include "src/text/utf8.h"

namespace tercel::text {
namespace {

struct Rules {
  std::set<std::string, std::less<>> controls;
  std::string unknown_piece;
  std::string unknown_surface;
  bool has_bytes = false;
  bool drops_first_space = false;
  bool drops_leading_spaces = false;
};

class SentencePieceStep final : public TokenStep {
 public:
  SentencePieceStep(const Rules& rules, DecodeStepPtr next)
      : TokenStep(std::move(next)), rules_(rules) {}
  void finish() override {
    flush(bytes_.size());
    TokenStep::finish();
  }

 private:
  void take(std::string_view token) override {
    if (const int byte = rules_.has_bytes ? byte_of_token(token) : -1; byte >= 0) {
      bytes_ += static_cast<char>(byte);
      flush(bytes_.size() - incomplete_tail(bytes_));
      return;
    }
    flush(bytes_.size());
    if (dropped_ || wrote_) at_start_ = false;
    dropped_ = false;
    if (rules_.controls.count(token) != 0) return;
    if (token == rules_.unknown_piece) return write(rules_.unknown_surface);
    if (at_start_ && rules_.drops_first_space && token.starts_with(kVisibleSpace)) {
      token.remove_prefix(kVisibleSpace.size());
      dropped_ = !rules_.drops_leading_spaces;
    }
    std::string text(token);
    replace_all(text, kVisibleSpace, " ");
    write(text);
  }
  // U+FFFD stands for each byte that belongs to no character.
  void flush(std::size_t count) {
    std::string text;
    for (std::string_view rest = std::string_view(bytes_).substr(0, count); !rest.empty();) {
      const CodePoint next = decode_first(rest);
      const bool ill_formed = next.code == kReplacement && !rest.starts_with("\xEF\xBF\xBD");
      append_utf8(text, next.code);
      rest.remove_prefix(ill_formed ? 1 : next.length);
    }
    bytes_.erase(0, count);
    write(text);
  }
  void write(std::string_view text) {
    if (text.empty()) return;
    wrote_ = true;
    emit(text);
  }

  const Rules& rules_;
  std::string bytes_;
  bool at_start_ = true;
  bool dropped_ = false;  // the token before gave up its space
  bool wrote_ = false;
};

class SentencePieceDecoder final : public Decoder {
 public:
  explicit SentencePieceDecoder(const SentencePieceFile& file) {
    for (const SentencePiece& piece : file.pieces) {
      if (piece.type == PieceType::control) rules_.controls.emplace(piece.text);
    }
    rules_.unknown_piece = file.pieces[static_cast<std::size_t>(file.unknown_id)].text;
    rules_.unknown_surface = file.unknown_surface;
    rules_.has_bytes = file.byte_fallback;
    rules_.drops_first_space = file.add_dummy_prefix || file.remove_extra_spaces;
    rules_.drops_leading_spaces = file.remove_extra_spaces;
  }
  DecodeStepPtr start(DecodeStepPtr next) const override {
    return std::make_unique<SentencePieceStep>(rules_, std::move(next));
  }

 private:
  Rules rules_;
};

}  // namespace

std::unique_ptr<const Decoder> make_sentencepiece_decoder(const SentencePieceFile& file) {
  return std::make_unique<SentencePieceDecoder>(file);
}

}  // namespace tercel::text
