#include <algorithm>
#include <utility>

#include "src/base/fail.h"
#include "src/base/request_threads.h"
#include "src/text/encoding.h"
#include "src/text/text_encoder.h"
#include "src/text/tokenizer_impl.h"
#include "src/text/work_ranges.h"

namespace tercel {
namespace {

constexpr std::size_t kAllTokens = std::numeric_limits<std::size_t>::max();

// The truncation of the texts alone, with room left for the special tokens.
std::optional<Truncation> inner_truncation(const EncodeOptions& options, std::size_t added) {
  std::optional<Truncation> result = options.truncation;
  if (!result) return result;
  if (result->max_length < added) {
    fail(Errc::invalid_argument,
         "max_length {} has no room for the {} special tokens: choose a larger one",
         result->max_length, added);
  }
  result->max_length -= added;
  return result;
}

// How many tokens of text number `index` can matter.
std::size_t token_limit(const std::optional<Truncation>& truncation, bool keep_overflowing,
                        std::size_t index, std::size_t count) {
  if (!truncation || keep_overflowing || truncation->direction == TextDirection::left) {
    return kAllTokens;
  }
  const TruncationStrategy only =
      index == 0 ? TruncationStrategy::only_first : TruncationStrategy::only_second;
  const bool alone = count == 1 && truncation->strategy == TruncationStrategy::longest_first;
  // One more than fits, so that the text is seen to be too long.
  return alone || truncation->strategy == only ? truncation->max_length + 1 : kAllTokens;
}

void truncate(const Tokenizer::Impl& impl, std::span<const std::string_view> texts,
              const std::vector<text::UntrimmedTokens>& untrimmed, const Truncation& truncation,
              bool keep_overflowing, std::vector<Encoding>& pieces) {
  text::truncate_all(pieces, truncation, keep_overflowing);
  const auto trim = impl.post_processor ? impl.post_processor->offset_trim() : std::nullopt;
  if (!trim || !trim->keeps_prefix_space) return;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    text::restore_first_space(impl, texts[i], untrimmed[i], pieces[i]);
  }
}

Encoding encode_unpadded(const Tokenizer::Impl& impl, text::TextEncoder& encoder,
                         std::span<const std::string_view> texts, const EncodeOptions& options) {
  const bool pair = texts.size() == 2;
  const bool adds = impl.post_processor && options.add_special_tokens;
  const std::size_t added = adds ? impl.post_processor->added_tokens(pair) : 0;
  const auto truncation = inner_truncation(options, added);
  std::vector<Encoding> pieces;
  std::vector<text::UntrimmedTokens> untrimmed;
  pieces.reserve(texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::size_t limit = token_limit(truncation, options.keep_overflowing, i, texts.size());
    const TokenList& tokens = encoder.run(texts[i], limit);
    pieces.push_back(text::make_encoding(tokens, static_cast<int32_t>(i), added));
    if (truncation) untrimmed.push_back(encoder.take_untrimmed());
  }
  if (truncation) truncate(impl, texts, untrimmed, *truncation, options.keep_overflowing, pieces);
  if (impl.post_processor) {
    pieces = impl.post_processor->apply(std::move(pieces), options.add_special_tokens);
  }
  Encoding result;
  if (!pieces.empty()) result = std::move(pieces.front());
  for (std::size_t i = 1; i < pieces.size(); ++i) text::append(result, std::move(pieces[i]));
  return result;
}

Encoding encode_padded(const Tokenizer::Impl& impl, std::span<const std::string_view> texts,
                       const EncodeOptions& options) {
  text::TextEncoder encoder(impl);
  std::vector<Encoding> result;
  result.push_back(encode_unpadded(impl, encoder, texts, options));
  if (options.padding) text::pad_all(result, *options.padding);
  return std::move(result.front());
}

// A batch, in its order, by `options.threads`. `bytes` and `encode_one` are called with an index,
// and with a TextEncoder and an index.
template <class Bytes, class EncodeOne>
std::vector<Encoding> encode_all(const Tokenizer::Impl& impl, std::size_t count,
                                 const EncodeOptions& options, Bytes&& bytes,
                                 EncodeOne&& encode_one) {
  std::vector<Encoding> result(count);
  const auto encode_range = [&](text::TextEncoder& encoder, text::WorkRange range) {
    for (std::size_t i = range.begin; i < range.end; ++i) result[i] = encode_one(encoder, i);
  };
  const auto pool = count > 1 ? impl.pool(options.threads) : nullptr;
  if (pool) {
    std::vector<std::size_t> sizes(count);
    for (std::size_t i = 0; i < count; ++i) sizes[i] = bytes(i);
    text::WorkRanges ranges(sizes, pool->size());
    pool->parallel_for(pool->size(), 1, [&](int64_t, int64_t) {
      try {
        text::TextEncoder encoder(impl);
        while (const auto range = ranges.next()) encode_range(encoder, *range);
      } catch (...) {
        ranges.stop();
        throw;
      }
    });
  } else {
    text::TextEncoder encoder(impl);
    encode_range(encoder, {0, count});
  }
  if (options.padding) text::pad_all(result, *options.padding);
  return result;
}

}  // namespace

TokenList Tokenizer::Impl::tokenize(std::string_view text, std::size_t max_tokens) const {
  return std::move(text::TextEncoder(*this).run(text, max_tokens));
}

text::DecodeStepPtr Tokenizer::Impl::start_decoding(std::string& text) const {
  text::DecodeStepPtr last = text::append_to(text);
  return decoder ? decoder->start(std::move(last)) : text::join_by_spaces(std::move(last));
}

std::optional<std::string_view> Tokenizer::Impl::decoded_token(int32_t id,
                                                               bool skip_special_tokens) const {
  const text::AddedToken* known = added->find(id);
  const auto token =
      known != nullptr ? std::optional<std::string_view>(known->decoded) : model->id_to_token(id);
  if (token && skip_special_tokens && added->is_special(*token)) return std::nullopt;
  return token;
}

std::shared_ptr<ThreadPool> Tokenizer::Impl::pool(int threads) const {
  if (threads < 0) {
    fail(Errc::invalid_argument, "{} threads: expected a number from 1, or 0 for every CPU",
         threads);
  }
  if (threads == 0) {
    const auto shared = RequestThreads::shared();
    return {shared, &shared->pool()};
  }
  if (threads == 1) return nullptr;
  const std::lock_guard lock(pool_mutex_);
  if (!pool_ || pool_->size() != threads) pool_ = std::make_shared<ThreadPool>(threads);
  return pool_;
}

struct DecodeStream::State {
  State(Tokenizer tokenizer_, bool skip)
      : tokenizer(std::move(tokenizer_)), skip_special_tokens(skip) {}

  Tokenizer tokenizer;
  bool skip_special_tokens;
  std::string text;  // certain, and not yet taken
  text::DecodeStepPtr first;
};

DecodeStream::DecodeStream(const Tokenizer& tokenizer, bool skip_special_tokens)
    : state_(std::make_unique<State>(tokenizer, skip_special_tokens)) {
  state_->first = tokenizer.impl_->start_decoding(state_->text);
}
DecodeStream::DecodeStream(DecodeStream&&) noexcept = default;
DecodeStream& DecodeStream::operator=(DecodeStream&&) noexcept = default;
DecodeStream::~DecodeStream() = default;

std::string DecodeStream::push(int32_t id) {
  const auto token = state_->tokenizer.impl_->decoded_token(id, state_->skip_special_tokens);
  if (token) state_->first->push(*token, true);
  return std::exchange(state_->text, {});
}

std::string DecodeStream::finish() {
  state_->first->finish();
  std::string rest = std::exchange(state_->text, {});
  state_->first = state_->tokenizer.impl_->start_decoding(state_->text);
  return rest;
}

const EncodeOptions& Tokenizer::default_options() const { return impl_->defaults; }

Encoding Tokenizer::encode(std::string_view text) const { return encode(text, impl_->defaults); }

Encoding Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  return encode_padded(*impl_, {&text, 1}, options);
}

Encoding Tokenizer::encode_pair(std::string_view first, std::string_view second) const {
  return encode_pair(first, second, impl_->defaults);
}

Encoding Tokenizer::encode_pair(std::string_view first, std::string_view second,
                                const EncodeOptions& options) const {
  const std::string_view texts[] = {first, second};
  return encode_padded(*impl_, texts, options);
}

std::vector<Encoding> Tokenizer::encode_batch(std::span<const std::string_view> texts,
                                              const EncodeOptions& options) const {
  return encode_all(
      *impl_, texts.size(), options, [&](std::size_t i) { return texts[i].size(); },
      [&](text::TextEncoder& encoder, std::size_t i) {
        return encode_unpadded(*impl_, encoder, {&texts[i], 1}, options);
      });
}

std::vector<Encoding> Tokenizer::encode_pair_batch(
    std::span<const std::pair<std::string_view, std::string_view>> pairs,
    const EncodeOptions& options) const {
  return encode_all(
      *impl_, pairs.size(), options,
      [&](std::size_t i) { return pairs[i].first.size() + pairs[i].second.size(); },
      [&](text::TextEncoder& encoder, std::size_t i) {
        const std::string_view texts[] = {pairs[i].first, pairs[i].second};
        return encode_unpadded(*impl_, encoder, texts, options);
      });
}

TokenList Tokenizer::tokenize(std::string_view text, std::size_t max_tokens) const {
  return impl_->tokenize(text, max_tokens);
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special_tokens) const {
  std::string result;
  const auto first = impl_->start_decoding(result);
  for (const int32_t id : ids) {
    if (const auto token = impl_->decoded_token(id, skip_special_tokens)) first->push(*token, true);
  }
  first->finish();
  return result;
}

std::optional<int32_t> Tokenizer::token_to_id(std::string_view token) const {
  if (const text::AddedToken* added = impl_->added->find(token)) return added->id;
  return impl_->model->token_to_id(token);
}

std::optional<std::string> Tokenizer::id_to_token(int32_t id) const {
  if (const text::AddedToken* added = impl_->added->find(id)) return added->decoded;
  const auto token = impl_->model->id_to_token(id);
  return token ? std::optional<std::string>(*token) : std::nullopt;
}

bool Tokenizer::is_special(int32_t id) const {
  const text::AddedToken* added = impl_->added->find(id);
  return added != nullptr && added->special;
}

std::size_t Tokenizer::vocab_size() const {
  return impl_->model->vocab_size() + impl_->added->beyond_model();
}

std::size_t Tokenizer::added_tokens(bool pair) const {
  return impl_->post_processor ? impl_->post_processor->added_tokens(pair) : 0;
}

}  // namespace tercel
