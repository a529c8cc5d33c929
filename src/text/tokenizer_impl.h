#pragma once
// The stages of one tokenizer. Text goes through them in this order: raw added tokens,
// normalizer, normalized added tokens, pre-tokenizer, model; then truncation, post-processor,
// padding.

#include <memory>
#include <mutex>
#include <string>

#include "src/base/json.h"
#include "src/base/thread_pool.h"
#include "src/text/added_tokens.h"
#include "src/text/decoder.h"
#include "src/text/model.h"
#include "src/text/normalizer.h"
#include "src/text/post_processor.h"
#include "src/text/pre_tokenizer.h"
#include "src/text/sentencepiece/model_file.h"
#include "tercel/tokenizer.h"

namespace tercel {

struct Tokenizer::Impl {
  explicit Impl(const Json& root);
  explicit Impl(const text::SentencePieceFile& file);

  TokenList tokenize(std::string_view text, std::size_t max_tokens) const;
  // What ids are pushed through to become `text`.
  text::DecodeStepPtr start_decoding(std::string& text) const;
  // The text of an id in decoded text; nothing for unknown ids, and special ones if they are
  // skipped.
  std::optional<std::string_view> decoded_token(int32_t id, bool skip_special_tokens) const;
  // Threads to encode a batch with, kept from call to call; null for one thread.
  std::shared_ptr<ThreadPool> pool(int threads) const;

  // Each may be null, but not the model.
  std::unique_ptr<const text::Normalizer> normalizer;
  std::unique_ptr<const text::PreTokenizer> pre_tokenizer;
  std::unique_ptr<const text::Model> model;
  std::unique_ptr<const text::PostProcessor> post_processor;
  std::unique_ptr<const text::Decoder> decoder;
  std::unique_ptr<const text::AddedTokens> added;
  EncodeOptions defaults;

 private:
  mutable std::mutex pool_mutex_;
  mutable std::shared_ptr<ThreadPool> pool_;
};

}  // namespace tercel
