// Unigram: the pieces whose scores (logarithms of probabilities) have the largest sum.

#include <array>
#include <limits>

#include "src/base/fail.h"
#include "src/text/model.h"
#include "src/text/models/best_path.h"
#include "src/text/models/word_cache.h"
#include "src/text/vocabulary.h"

namespace tercel::text {
namespace {

// What an unknown character costs more than the least likely piece.
constexpr double kUnknownPenalty = 10;

struct ScoredTokens {
  std::vector<std::string_view> tokens;
  std::vector<double> scores;

  explicit ScoredTokens(const Json& vocab) {
    vocab.for_each([&](const Json& entry) {
      std::size_t at = 0;
      entry.for_each([&](const Json& part) {
        if (at == 0) tokens.push_back(part.string());
        if (at == 1) scores.push_back(part.number());
        ++at;
      });
      if (at != 2) entry.reject("a token and its score");
    });
  }
};

class Unigram final : public Model {
 public:
  Unigram(const Json& config, ScoredTokens&& vocab)
      : tokens_(vocab.tokens.begin(), vocab.tokens.end()),
        vocabulary_(vocab.tokens),
        scores_(std::move(vocab.scores)),
        trie_(entries(vocab.tokens, vocabulary_)),
        byte_fallback_(config.boolean_or("byte_fallback", false)) {
    if (const auto unknown = config.find("unk_id")) {
      const int64_t id = unknown->integer();
      if (id < 0 || static_cast<uint64_t>(id) >= tokens_.size()) {
        unknown->reject("an id of the vocabulary");
      }
      unknown_id_ = static_cast<int32_t>(id);
    }
    double least = std::numeric_limits<double>::infinity();
    for (const double score : scores_) least = std::min(least, score);
    unknown_score_ = least - kUnknownPenalty;
    for (std::size_t byte = 0; byte < bytes_.size(); ++byte) {
      bytes_[byte] = vocabulary_.find(fmt::format("<0x{:02X}>", byte)).value_or(-1);
    }
  }

  void tokenize(std::string_view word, std::vector<ModelToken>& tokens) const override {
    tokenize_cached(owner_, word, tokens,
                    [this](std::string_view text, auto& result) { tokenize_anew(text, result); });
  }

  std::optional<int32_t> token_to_id(std::string_view token) const override {
    return vocabulary_.find(token);
  }
  std::optional<std::string_view> id_to_token(int32_t id) const override {
    if (id < 0 || static_cast<std::size_t>(id) >= tokens_.size()) return std::nullopt;
    return tokens_[static_cast<std::size_t>(id)];
  }
  std::size_t vocab_size() const override { return tokens_.size(); }

 private:
  static std::vector<Trie::Entry> entries(const std::vector<std::string_view>& tokens,
                                          const Vocabulary& vocabulary) {
    std::vector<Trie::Entry> result;
    result.reserve(tokens.size());
    for (const std::string_view token : tokens) {
      result.emplace_back(token, vocabulary.find(token).value_or(-1));
    }
    return result;
  }

  void tokenize_anew(std::string_view word, std::vector<ModelToken>& tokens) const {
    std::vector<PathPiece> path;
    best_path<double>(trie_, scores_, unknown_score_, word, path, [&] { unknown_id(); });
    for (std::size_t i = 0; i < path.size(); ++i) {
      // Unknown pieces side by side are one, among them the unknown token where the text spells it.
      PathPiece piece = path[i];
      if (is_unknown(piece)) {
        for (; i + 1 < path.size() && is_unknown(path[i + 1]); ++i) piece.end = path[i + 1].end;
        append_unknown(word, piece, tokens);
      } else {
        tokens.push_back({piece.id, piece.begin, piece.end});
      }
    }
  }

  bool is_unknown(const PathPiece& piece) const {
    return piece.id == kUnknownPiece || piece.id == unknown_id_;
  }

  void append_unknown(std::string_view word, const PathPiece& piece,
                      std::vector<ModelToken>& tokens) const {
    const std::string_view text = word.substr(piece.begin, piece.end - piece.begin);
    if (text.size() <= vocabulary_.longest()) {
      if (const auto id = vocabulary_.find(text)) {
        tokens.push_back({*id, piece.begin, piece.end});
        return;
      }
    }
    const auto byte_id = [&](char c) { return bytes_[static_cast<unsigned char>(c)]; };
    const bool as_bytes = byte_fallback_ && std::all_of(text.begin(), text.end(),
                                                        [&](char c) { return byte_id(c) >= 0; });
    if (!as_bytes) {
      tokens.push_back({unknown_id(), piece.begin, piece.end});
      return;
    }
    for (const char c : text) tokens.push_back({byte_id(c), piece.begin, piece.end});
  }

  int32_t unknown_id() const {
    if (unknown_id_) return *unknown_id_;
    fail(Errc::invalid_file, "the text needs the unknown token, but the model has no \"unk_id\"");
  }

  std::vector<std::string> tokens_;
  Vocabulary vocabulary_;
  std::vector<double> scores_;
  Trie trie_;
  std::optional<int32_t> unknown_id_;
  double unknown_score_ = 0;
  bool byte_fallback_;
  std::array<int32_t, 256> bytes_;  // ids of <0x00> to <0xFF>, or -1
  uint64_t owner_ = WordCache::new_owner();
};

}  // namespace

std::unique_ptr<const Model> make_unigram(const Json& config) {
  return std::make_unique<Unigram>(config, ScoredTokens(config["vocab"]));
}

}  // namespace tercel::text
