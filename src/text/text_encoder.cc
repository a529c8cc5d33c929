#include "src/text/text_encoder.h"

#include <algorithm>
#include <limits>

#include "src/base/fail.h"
#include "src/text/unicode.h"
#include "src/text/utf8.h"

namespace tercel::text {
namespace {

// Small enough for the caches, large enough that the work around it does not count.
constexpr uint32_t kPieceBytes = 4096;

bool is_ascii_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// White space as byte-level tokenizers see it: U+0120 stands for a space there.
bool is_trimmed(char32_t code) { return code == 0x120 || is(code, kWhite); }

// In characters.
uint32_t leading_white(std::string_view text) {
  uint32_t count = 0;
  for (; !text.empty() && is_trimmed(decode_first(text).code); ++count) {
    text.remove_prefix(decode_first(text).length);
  }
  return count;
}

uint32_t trailing_white(std::string_view text) {
  uint32_t count = 0;
  for (; !text.empty() && is_trimmed(decode_last(text).code); ++count) {
    text.remove_suffix(decode_last(text).length);
  }
  return count;
}

}  // namespace

TextEncoder::TextEncoder(const Tokenizer::Impl& tokenizer) : tokenizer_(tokenizer) {
  may_cut_ = (!tokenizer.normalizer || tokenizer.normalizer->is_local()) &&
             tokenizer.added->normalized().empty() && tokenizer.pre_tokenizer &&
             tokenizer.pre_tokenizer->cuts_at_space();
  if (tokenizer.post_processor) trim_ = tokenizer.post_processor->offset_trim();
}

void TextEncoder::begin(std::string_view text, std::size_t max_tokens) {
  if (text.size() >= std::numeric_limits<uint32_t>::max()) {
    fail(Errc::invalid_argument, "the text has {} bytes; at most 4 GiB can be read: split it",
         text.size());
  }
  text_ = text;
  max_tokens_ = max_tokens;
  next_word_ = 0;
  untrimmed_ = {};
  keep_tokens(0);
  const std::size_t expected = std::min(text.size() / 4 + 4, max_tokens);
  result_.ids.reserve(expected);
  result_.offsets.reserve(expected);
  result_.word_ids.reserve(expected);
}

void TextEncoder::keep_tokens(std::size_t count) {
  result_.ids.resize(count);
  result_.offsets.resize(count);
  result_.word_ids.resize(count);
}

TokenList& TextEncoder::run(std::string_view text, std::size_t max_tokens) {
  begin(text, max_tokens);
  segments_.clear();
  tokenizer_.added->raw().split(text, segments_);
  for (const TokenMatch& segment : segments_) {
    if (is_done()) break;
    if (segment.token == nullptr) {
      encode_segment(segment.bytes);
    } else {
      emit_added(*segment.token, {segment.bytes.begin, segment.bytes.end},
                 text.substr(segment.bytes.begin, segment.bytes.end - segment.bytes.begin));
    }
  }
  if (is_done()) keep_tokens(max_tokens);
  if (result_.size() > 0) untrimmed_.first = result_.offsets[0];
  return result_;
}

void TextEncoder::encode_segment(IndexRange segment) {
  while (segment.begin < segment.end && !is_done()) {
    const uint32_t end = may_cut_ ? cut_after(segment.begin, segment.end) : segment.end;
    encode_piece({segment.begin, end});
    segment.begin = end;
  }
}

uint32_t TextEncoder::cut_after(uint32_t begin, uint32_t end) const {
  if (end - begin <= 2 * kPieceBytes) return end;
  for (uint32_t at = begin + kPieceBytes; at < end; ++at) {
    const bool space = text_[at - 1] == ' ' || text_[at - 1] == '\n';
    if (space && is_ascii_alphanumeric(text_[at])) return at;
  }
  return end;
}

void TextEncoder::encode_piece(IndexRange piece) {
  if (!tokenizer_.pre_tokenizer || !encode_ascii(piece)) encode_unicode(piece);
}

bool TextEncoder::encode_ascii(IndexRange piece) {
  const std::string_view source = text_.substr(piece.begin, piece.end - piece.begin);
  if (!is_ascii(source)) return false;
  ascii_.assign(source);
  if (tokenizer_.normalizer && !tokenizer_.normalizer->apply_ascii(ascii_)) return false;
  parts_.clear();
  tokenizer_.added->normalized().split(ascii_, parts_);
  const std::size_t tokens_before = result_.size();
  const uint32_t words_before = next_word_;
  for (const TokenMatch& part : parts_) {
    const uint32_t base = piece.begin + part.bytes.begin;
    const std::string_view bytes =
        std::string_view(ascii_).substr(part.bytes.begin, part.bytes.end - part.bytes.begin);
    if (part.token != nullptr) {
      emit_added(*part.token, {base, piece.begin + part.bytes.end}, bytes);
    } else if (!encode_ascii_words(bytes, base)) {
      keep_tokens(tokens_before);
      next_word_ = words_before;
      std::erase_if(untrimmed_.spaced_words,
                    [&](int32_t word) { return static_cast<uint32_t>(word) >= words_before; });
      return false;
    }
  }
  return true;
}

bool TextEncoder::encode_ascii_words(std::string_view bytes, uint32_t base) {
  ascii_split_.chars.assign(bytes);
  ascii_split_.words.assign(1, {0, static_cast<uint32_t>(bytes.size())});
  ascii_split_.is_start = base == 0;
  ascii_split_.has_prefix = false;
  ascii_split_.alphabet = nullptr;
  if (!tokenizer_.pre_tokenizer->apply_ascii(ascii_split_)) return false;
  for (const IndexRange word : ascii_split_.words) {
    if (is_done()) break;
    tokens_.clear();
    tokenizer_.model->tokenize(render(word), tokens_);
    for (const ModelToken& token : tokens_) {
      emit_model_token(token, ascii_origin(token, base, word));
    }
    ++next_word_;
  }
  return true;
}

std::string_view TextEncoder::render(IndexRange word) {
  const std::string_view chars =
      std::string_view(ascii_split_.chars).substr(word.begin, word.end - word.begin);
  rendered_size_ = static_cast<uint32_t>(chars.size());
  if (ascii_split_.alphabet == nullptr) return chars;
  constexpr std::size_t kLongest = sizeof(AsciiGlyph::bytes);
  if (rendered_.bytes.size() < kLongest * chars.size()) {
    rendered_.bytes.resize(kLongest * chars.size());
    rendered_.char_of.resize(kLongest * chars.size());
  }
  uint32_t size = 0;
  for (std::size_t i = 0; i < chars.size(); ++i) {
    const AsciiGlyph& glyph = (*ascii_split_.alphabet)[static_cast<unsigned char>(chars[i]) & 0x7F];
    for (std::size_t k = 0; k < kLongest; ++k) {
      rendered_.bytes[size + k] = glyph.bytes[k];
      rendered_.char_of[size + k] = static_cast<uint32_t>(i);
    }
    size += glyph.length;
  }
  rendered_size_ = size;
  return std::string_view(rendered_.bytes).substr(0, size);
}

TextSpan TextEncoder::ascii_origin(const ModelToken& token, uint32_t base, IndexRange word) const {
  uint32_t begin = token.begin;
  uint32_t end = token.end;
  if (begin >= rendered_size_ || end > rendered_size_) return beyond_word(token);
  if (ascii_split_.alphabet != nullptr) {
    begin = rendered_.char_of[token.begin];
    end = token.begin == token.end ? begin : rendered_.char_of[token.end - 1] + 1;
  }
  begin += word.begin;
  end += word.begin;
  if (ascii_split_.has_prefix) {
    begin -= std::min(begin, 1U);
    end = std::max(end, 2U) - 1;
  }
  return {base + begin, base + end};
}

void TextEncoder::encode_unicode(IndexRange piece) {
  decode_into(split_.chars, text_.substr(piece.begin, piece.end - piece.begin), piece.begin);
  if (tokenizer_.normalizer) tokenizer_.normalizer->apply(split_.chars);
  const auto whole = static_cast<uint32_t>(split_.chars.size());
  if (whole == 0) return;
  if (tokenizer_.added->normalized().empty()) {
    encode_words();
    return;
  }
  const AlignedText chars = std::move(split_.chars);
  RenderedText all;
  all.assign(chars.data(), chars.data() + whole);
  std::vector<TokenMatch> parts;
  tokenizer_.added->normalized().split(all.bytes, parts);
  all.char_of.push_back(whole);
  for (const TokenMatch& part : parts) {
    const uint32_t begin = all.char_of[part.bytes.begin];
    const uint32_t end = all.char_of[part.bytes.end];
    if (part.token == nullptr) {
      split_.chars.assign(chars.begin() + begin, chars.begin() + end);
      encode_words();
    } else {
      emit_added(
          *part.token, {chars[begin].origin.begin, chars[end - 1].origin.end},
          std::string_view(all.bytes).substr(part.bytes.begin, part.bytes.end - part.bytes.begin));
    }
  }
}

void TextEncoder::encode_words() {
  split_.words.assign(1, {0, static_cast<uint32_t>(split_.chars.size())});
  if (tokenizer_.pre_tokenizer) tokenizer_.pre_tokenizer->apply(split_);
  for (const IndexRange word : split_.words) {
    if (is_done()) return;
    const AlignedChar* first = split_.chars.data() + word.begin;
    rendered_.assign(first, split_.chars.data() + word.end);
    tokens_.clear();
    tokenizer_.model->tokenize(rendered_.bytes, tokens_);
    for (const ModelToken& token : tokens_) {
      emit_model_token(token, origin_of(token, first));
    }
    ++next_word_;
  }
}

TextSpan TextEncoder::origin_of(const ModelToken& token, const AlignedChar* first) const {
  const auto limit = static_cast<uint32_t>(rendered_.char_of.size());
  if (token.begin >= limit || token.end > limit) return beyond_word(token);
  const TextSpan begin = first[rendered_.char_of[token.begin]].origin;
  if (token.begin == token.end) return {begin.begin, begin.begin};
  return {begin.begin, first[rendered_.char_of[token.end - 1]].origin.end};
}

TextSpan TextEncoder::beyond_word(const ModelToken& token) const {
  const auto size = static_cast<uint32_t>(text_.size());
  return {std::min(token.begin, size), std::min(token.end, size)};
}

void TextEncoder::emit_added(const AddedToken& token, TextSpan origin, std::string_view matched) {
  if (trim_ && leading_white(matched) == 1) {
    untrimmed_.spaced_words.push_back(static_cast<int32_t>(next_word_));
  }
  emit(token.id, trim_ ? trimmed(origin, matched) : origin, next_word_++);
}

TextSpan TextEncoder::trimmed(TextSpan origin, std::string_view token) const {
  uint32_t leading = leading_white(token);
  uint32_t trailing = trailing_white(token);
  const bool at_start = result_.size() == 0 || origin.begin == 0;
  if (leading == 1 && at_start && trim_->keeps_prefix_space) leading = 0;
  // Counted in characters: normalized white space need not have as many bytes as the original.
  for (; leading > 0 && origin.begin < origin.end; --leading) {
    origin.begin += decode_first(text_.substr(origin.begin, origin.end - origin.begin)).length;
  }
  for (; trailing > 0 && origin.begin < origin.end; --trailing) {
    origin.end -= decode_last(text_.substr(origin.begin, origin.end - origin.begin)).length;
  }
  return origin;
}

void restore_first_space(const Tokenizer::Impl& tokenizer, std::string_view text,
                         const UntrimmedTokens& tokens, Encoding& windows) {
  for (Encoding& window : windows.overflowing) {
    restore_first_space(tokenizer, text, tokens, window);
  }
  if (windows.size() == 0 || windows.offsets[0] == tokens.first) return;
  TextSpan& origin = windows.offsets[0];
  const AddedToken* added = tokenizer.added->find(windows.ids[0]);
  const std::string_view token =
      added != nullptr ? added->decoded : *tokenizer.model->id_to_token(windows.ids[0]);
  const bool has_one_space =
      added != nullptr ? std::binary_search(tokens.spaced_words.begin(), tokens.spaced_words.end(),
                                            windows.word_ids[0])
                       : leading_white(token) == 1;
  if (!has_one_space || origin.begin == 0) return;
  // A space is trimmed from both ends.
  const bool was_space = origin.begin == origin.end && trailing_white(token) == 1;
  origin.begin -= decode_last(text.substr(0, origin.begin)).length;
  if (was_space) origin.end = origin.begin;
}

}  // namespace tercel::text
