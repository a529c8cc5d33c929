#pragma once
// The stages of a tokenizer that is a SentencePiece model. Ids, offsets and text are those of the
// `sentencepiece` package: the text is normalized, and its whole is cut into pieces.

#include <memory>
#include <string_view>

#include "src/text/decoder.h"
#include "src/text/model.h"
#include "src/text/normalizer.h"
#include "src/text/sentencepiece/model_file.h"

namespace tercel::text {

// What SentencePiece writes for a space: U+2581.
inline constexpr std::string_view kVisibleSpace = "\xE2\x96\x81";

// Each copies what it needs of the file. They throw Errc::invalid_file.
std::unique_ptr<const Normalizer> make_sentencepiece_normalizer(const SentencePieceFile& file);
std::unique_ptr<const Model> make_sentencepiece_model(const SentencePieceFile& file);
std::unique_ptr<const Decoder> make_sentencepiece_decoder(const SentencePieceFile& file);

}  // namespace tercel::text
