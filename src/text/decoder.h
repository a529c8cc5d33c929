#pragma once
// Decoders turn the tokens of some ids into text: each rewrites the list of tokens, whose parts are
// joined in the end. One file per kind in decoders/, one row each in decoder.cc.
//
// A decoder is a step that tokens are pushed through, so that text streams: what no later token can
// change goes on at once. Decoding a whole list is pushing all of it, so both give the same text.

#include <memory>
#include <string>
#include <string_view>

#include "src/base/json.h"

namespace tercel::text {

// A decoder at work on one list of tokens. They come in order, and in parts where a step before has
// joined them.
class DecodeStep {
 public:
  virtual ~DecodeStep() = default;
  // A part of a token, of whole characters; with `ends` the token's last.
  virtual void push(std::string_view part, bool ends) = 0;
  // After the last token.
  virtual void finish() = 0;
};
using DecodeStepPtr = std::unique_ptr<DecodeStep>;

// For steps that see tokens whole.
class TokenStep : public DecodeStep {
 public:
  explicit TokenStep(DecodeStepPtr next) : next_(std::move(next)) {}
  void push(std::string_view part, bool ends) final;
  void finish() override { next_->finish(); }

 protected:
  virtual void take(std::string_view token) = 0;
  void emit(std::string_view token) { next_->push(token, true); }
  DecodeStep& next() { return *next_; }

 private:
  DecodeStepPtr next_;
  std::string token_;  // the parts so far
};

class Decoder {
 public:
  virtual ~Decoder() = default;
  // A step that hands what it makes of its tokens to `next`. It must not outlive the decoder.
  virtual DecodeStepPtr start(DecodeStepPtr next) const = 0;
  // Steps, one after the other, that this starts.
  virtual std::size_t steps() const { return 1; }
};

// The last step: appends to `text`.
DecodeStepPtr append_to(std::string& text);
// For tokenizers that have no decoder: a space between tokens.
DecodeStepPtr join_by_spaces(DecodeStepPtr next);

std::unique_ptr<const Decoder> make_decoder(const Json& config);

std::unique_ptr<const Decoder> make_bpe_decoder(const Json& config);
std::unique_ptr<const Decoder> make_byte_fallback(const Json& config);
std::unique_ptr<const Decoder> make_byte_level_decoder(const Json& config);
std::unique_ptr<const Decoder> make_ctc(const Json& config);
std::unique_ptr<const Decoder> make_fuse(const Json& config);
std::unique_ptr<const Decoder> make_metaspace_decoder(const Json& config);
std::unique_ptr<const Decoder> make_replace_decoder(const Json& config);
std::unique_ptr<const Decoder> make_strip_decoder(const Json& config);
std::unique_ptr<const Decoder> make_wordpiece_decoder(const Json& config);

// Every occurrence of `pattern` (not empty), from left to right.
void replace_all(std::string& text, std::string_view pattern, std::string_view content);

// English as WordPiece writes it: punctuation and contractions lose the space before them.
void clean_up_spaces(std::string& text);

// The byte that "<0x0A>" names; -1 for other tokens.
int byte_of_token(std::string_view token);

// How many bytes at the end of `bytes` may be the beginning of a character that goes on.
std::size_t incomplete_tail(std::string_view bytes);
// Appends `bytes`, with U+FFFD for each maximal ill-formed subsequence.
void append_well_formed(std::string& text, std::string_view bytes);

}  // namespace tercel::text
