#pragma once
// The stages of one tokenizer.json. Text goes through them in this order: raw added tokens,
// normalizer, normalized added tokens, pre-tokenizer, model; then truncation, post-processor,
// padding.

#include <memory>

#include "src/base/json.h"
#include "src/text/added_tokens.h"
#include "src/text/decoder.h"
#include "src/text/model.h"
#include "src/text/normalizer.h"
#include "src/text/post_processor.h"
#include "src/text/pre_tokenizer.h"
#include "tercel/tokenizer.h"

namespace tercel {

struct Tokenizer::Impl {
  explicit Impl(const Json& root);

  TokenList tokenize(std::string_view text, std::size_t max_tokens) const;

  // Each may be null, but not the model.
  std::unique_ptr<const text::Normalizer> normalizer;
  std::unique_ptr<const text::PreTokenizer> pre_tokenizer;
  std::unique_ptr<const text::Model> model;
  std::unique_ptr<const text::PostProcessor> post_processor;
  std::unique_ptr<const text::Decoder> decoder;
  std::unique_ptr<const text::AddedTokens> added;
  EncodeOptions defaults;
};

}  // namespace tercel
