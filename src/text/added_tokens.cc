#include "src/text/added_tokens.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "src/base/fail.h"
#include "src/text/unicode.h"
#include "src/text/utf8.h"

namespace tercel::text {
namespace {

// Matching takes at most this many steps for each byte of a text.
constexpr std::size_t kMaxContent = 1024;

bool is_single_word(std::string_view text, std::size_t begin, std::size_t end) {
  const bool word_before = begin > 0 && is(decode_last(text.substr(0, begin)).code, kWord);
  const bool word_after = end < text.size() && is(decode_first(text.substr(end)).code, kWord);
  return !word_before && !word_after;
}

// Where the white space before `end` begins, not before `floor`.
std::size_t white_before(std::string_view text, std::size_t end, std::size_t floor) {
  while (end > floor) {
    const CodePoint last = decode_last(text.substr(0, end));
    if (!is(last.code, kWhite)) break;
    end -= last.length;
  }
  return end;
}

std::size_t white_after(std::string_view text, std::size_t begin) {
  while (begin < text.size()) {
    const CodePoint first = decode_first(text.substr(begin));
    if (!is(first.code, kWhite)) break;
    begin += first.length;
  }
  return begin;
}

std::string normalized_content(const std::string& content, const Normalizer& normalizer) {
  AlignedText text;
  decode_into(text, content, 0);
  normalizer.apply(text);
  RenderedText rendered;
  rendered.assign(text.data(), text.data() + text.size());
  return rendered.bytes;
}

}  // namespace

void TokenMatcher::add(std::string_view pattern, const AddedToken* token) {
  if (nodes_.empty()) nodes_.emplace_back();
  uint32_t at = 0;
  for (const char c : pattern) {
    const auto next = static_cast<uint32_t>(nodes_.size());
    const auto [step, is_new] = nodes_[at].next.try_emplace(static_cast<unsigned char>(c), next);
    at = step->second;
    if (is_new) nodes_.emplace_back();
  }
  if (nodes_[at].token == nullptr) nodes_[at].token = token;
  starts_[static_cast<unsigned char>(pattern.front())] = true;
}

TokenMatcher::Hit TokenMatcher::longest_at(std::string_view text, std::size_t at) const {
  Hit hit;
  uint32_t node = 0;
  for (std::size_t i = at; i < text.size(); ++i) {
    const auto step = nodes_[node].next.find(static_cast<unsigned char>(text[i]));
    if (step == nodes_[node].next.end()) break;
    node = step->second;
    if (nodes_[node].token != nullptr) hit = {nodes_[node].token, i + 1};
  }
  return hit;
}

void TokenMatcher::split(std::string_view text, std::vector<TokenMatch>& parts) const {
  const auto push = [&](const AddedToken* token, std::size_t begin, std::size_t end) {
    parts.push_back({token, {static_cast<uint32_t>(begin), static_cast<uint32_t>(end)}});
  };
  struct {
    std::size_t begin = 1;
    std::size_t end = 0;
  } white;  // the last to be scanned
  std::size_t done = 0;
  for (std::size_t at = 0; !nodes_.empty() && at < text.size();) {
    if (!starts_[static_cast<unsigned char>(text[at])]) {
      ++at;
      continue;
    }
    const Hit hit = longest_at(text, at);
    if (hit.token == nullptr) {
      ++at;
      continue;
    }
    std::size_t begin = at;
    std::size_t end = hit.end;
    at = end;
    if (hit.token->single_word && !is_single_word(text, begin, end)) continue;
    if (hit.token->lstrip) begin = std::max(white_before(text, begin, done), done);
    if (hit.token->rstrip) {
      // A token in white space that the one before has taken: scanning it anew would be quadratic.
      if (end < white.begin || end > white.end) white = {end, white_after(text, end)};
      end = white.end;
    }
    if (end < begin) continue;  // inside what the token before has taken
    if (done < begin) push(nullptr, done, begin);
    push(hit.token, begin, end);
    done = end;
  }
  if (done < text.size()) push(nullptr, done, text.size());
}

AddedTokens::AddedTokens(const std::optional<Json>& list, const Model& model,
                         const Normalizer* normalizer) {
  next_id_ = static_cast<int64_t>(model.vocab_size());
  if (!list) return;
  list->for_each([&](const Json& entry) {
    AddedToken token;
    token.content = entry["content"].string();
    if (token.content.size() > kMaxContent) {
      entry["content"].reject(fmt::format("a token of at most {} bytes", kMaxContent));
    }
    token.special = entry.boolean_or("special", false);
    token.single_word = entry.boolean_or("single_word", false);
    token.lstrip = entry.boolean_or("lstrip", false);
    token.rstrip = entry.boolean_or("rstrip", false);
    token.normalized = entry.boolean_or("normalized", !token.special);
    if (!token.content.empty()) add(std::move(token), model, normalizer);
  });
  for (const auto& [id, token] : tokens_) {
    if (!token.decoded.empty()) (token.normalized ? normalized_ : raw_).add(token.decoded, &token);
  }
}

void AddedTokens::add(AddedToken token, const Model& model, const Normalizer* normalizer) {
  const auto known = ids_.find(token.content);
  const std::optional<int32_t> in_model = model.token_to_id(token.content);
  if (known != ids_.end()) {
    token.id = known->second;
  } else if (in_model) {
    token.id = *in_model;
  } else {
    if (next_id_ > std::numeric_limits<int32_t>::max()) {
      fail(Errc::invalid_file, "too many added tokens");
    }
    token.id = static_cast<int32_t>(next_id_++);
    ++beyond_model_;
  }
  token.decoded = token.normalized && normalizer != nullptr
                      ? normalized_content(token.content, *normalizer)
                      : token.content;
  ids_[token.content] = token.id;
  if (token.special) special_.insert(token.content);
  tokens_[token.id] = std::move(token);
}

const AddedToken* AddedTokens::find(std::string_view content) const {
  const auto known = ids_.find(content);
  return known == ids_.end() ? nullptr : find(known->second);
}

const AddedToken* AddedTokens::find(int32_t id) const {
  const auto token = tokens_.find(id);
  return token == tokens_.end() ? nullptr : &token->second;
}

}  // namespace tercel::text
