// WordPiece (Schuster and Nakajima, 2012; as BERT uses it): the longest token that begins the word,
// then the longest that continues it, and so on; the unknown token for the whole word if that ends
// nowhere.

#include <algorithm>

#include "src/base/fail.h"
#include "src/text/models/vocabulary_model.h"

namespace tercel::text {
namespace {

class WordPiece final : public VocabularyModel {
 public:
  explicit WordPiece(const Json& config)
      : VocabularyModel(config["vocab"]),
        unknown_token_(config.string_or("unk_token", "[UNK]")),
        unknown_id_(vocabulary_.find(unknown_token_)),
        prefix_(config.string_or("continuing_subword_prefix", "##")),
        prefix_hash_(Vocabulary::extend_hash(Vocabulary::kHashSeed, prefix_)),
        max_chars_(config.integer_or("max_input_chars_per_word", 100)) {
    if (max_chars_ < 0) config["max_input_chars_per_word"].reject("a number that is not negative");
  }

  void tokenize(std::string_view word, std::vector<ModelToken>& tokens) const override {
    const std::size_t first = tokens.size();
    std::size_t begin = is_too_long(word) ? word.size() + 1 : 0;
    while (begin < word.size()) {
      const ModelToken token = longest_match(word, begin);
      if (token.id < 0) {
        begin = word.size() + 1;
        break;
      }
      tokens.push_back(token);
      begin = token.end;
    }
    if (begin > word.size()) {
      tokens.resize(first);
      tokens.push_back({unknown_id(), 0, static_cast<uint32_t>(word.size())});
    }
  }

 private:
  static bool continues_char(char byte) {
    return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
  }

  bool is_too_long(std::string_view word) const {
    const auto limit = static_cast<uint64_t>(max_chars_);
    if (word.size() <= limit) return false;
    const auto inner = std::count_if(word.begin(), word.end(), continues_char);
    return word.size() - static_cast<std::size_t>(inner) > limit;
  }

  // The longest token that is (a continuation of) the word's text from `begin` on; id -1 if none.
  ModelToken longest_match(std::string_view word, std::size_t begin) const {
    const std::string_view prefix = begin == 0 ? std::string_view() : std::string_view(prefix_);
    const std::size_t reach = vocabulary_.longest() > prefix.size()
                                  ? vocabulary_.longest() - prefix.size()
                                  : std::size_t{0};
    const std::string_view rest = word.substr(begin, reach);
    thread_local std::vector<uint64_t> hashes;
    if (hashes.size() <= rest.size()) hashes.resize(rest.size() + 1);
    uint64_t hash = begin == 0 ? Vocabulary::kHashSeed : prefix_hash_;
    for (std::size_t i = 0; i < rest.size(); ++i) {
      hash = Vocabulary::extend_hash(hash, rest[i]);
      hashes[i + 1] = hash;
    }
    for (std::size_t length = rest.size(); length > 0; --length) {
      const std::size_t end = begin + length;
      if (end < word.size() && continues_char(word[end])) continue;
      const int32_t id = vocabulary_.find(prefix, rest.substr(0, length), hashes[length]);
      if (id >= 0) return {id, static_cast<uint32_t>(begin), static_cast<uint32_t>(end)};
    }
    return {-1, 0, 0};
  }

  int32_t unknown_id() const {
    if (unknown_id_) return *unknown_id_;
    fail(Errc::invalid_file, "the text needs the unknown token \"{}\", which the vocabulary lacks",
         unknown_token_);
  }

  std::string unknown_token_;
  std::optional<int32_t> unknown_id_;
  std::string prefix_;
  uint64_t prefix_hash_;
  int64_t max_chars_;
};

}  // namespace

std::unique_ptr<const Model> make_wordpiece(const Json& config) {
  return std::make_unique<WordPiece>(config);
}

}  // namespace tercel::text
