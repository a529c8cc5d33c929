// BPE: a word's characters, merged pair by pair. Byte-level models are these over the alphabet of
// byte_level.h; models with byte_fallback write an unknown character as the tokens of its bytes.

#include <array>

#include "src/base/fail.h"
#include "src/base/shown.h"
#include "src/text/model.h"
#include "src/text/models/bpe_merge.h"
#include "src/text/models/word_cache.h"
#include "src/text/utf8.h"
#include "src/text/vocabulary.h"

namespace tercel::text {
namespace {

// Characters below this, those of byte-level alphabets among them, are looked up in a table.
constexpr char32_t kTableEnd = 0x180;

std::optional<std::string> read_text(const Json& config, std::string_view key) {
  const auto text = config.find(key);
  return text ? std::optional<std::string>(text->string()) : std::nullopt;
}

class Bpe final : public Model {
 public:
  explicit Bpe(const Json& config)
      : vocabulary_(config["vocab"]),
        pairs_(config["merges"].size()),
        unknown_token_(read_text(config, "unk_token")),
        prefix_(config.string_or("continuing_subword_prefix", "")),
        suffix_(config.string_or("end_of_word_suffix", "")),
        fuses_unknown_(config.boolean_or("fuse_unk", false)),
        byte_fallback_(config.boolean_or("byte_fallback", false)),
        ignores_merges_(config.boolean_or("ignore_merges", false)) {
    if (config.number_or("dropout", 0) != 0) {
      fail(Errc::unsupported, "dropout is {}: merges are dropped in training only; set it to null",
           config.number_or("dropout", 0));
    }
    if (unknown_token_) unknown_id_ = vocabulary_.find(*unknown_token_);
    read_merges(config["merges"]);
    fill_tables();
  }

  void tokenize(std::string_view word, std::vector<ModelToken>& tokens) const override {
    tokenize_cached(owner_, word, tokens,
                    [this](std::string_view text, auto& result) { tokenize_anew(text, result); });
  }

  std::optional<int32_t> token_to_id(std::string_view token) const override {
    return vocabulary_.find(token);
  }
  std::optional<std::string_view> id_to_token(int32_t id) const override {
    return vocabulary_.token(id);
  }
  std::size_t vocab_size() const override { return vocabulary_.size(); }

 private:
  void read_merges(const Json& merges);
  void add_merge(const Json& merge, std::string_view left, std::string_view right);
  void fill_tables();
  void tokenize_anew(std::string_view word, std::vector<ModelToken>& tokens) const;
  void split(std::string_view word, std::vector<BpeSymbol>& symbols) const;
  int32_t find_char(std::string_view character, char32_t code, bool first, bool last) const;
  bool append_bytes(std::string_view text, std::vector<BpeSymbol>& symbols) const;
  std::string written(std::string_view character, bool first, bool last) const;
  int32_t unknown_id() const;

  Vocabulary vocabulary_;
  PairRanks pairs_;
  std::optional<std::string> unknown_token_;
  std::optional<int32_t> unknown_id_;
  std::string prefix_;  // of every character but a word's first
  std::string suffix_;  // of a word's last character
  bool fuses_unknown_;
  bool byte_fallback_;
  bool ignores_merges_;
  std::array<int32_t, kTableEnd> chars_;  // ids of characters without prefix and suffix, or -1
  std::array<int32_t, 256> bytes_;        // ids of <0x00> to <0xFF>, or -1
  uint64_t owner_ = WordCache::new_owner();
};

void Bpe::read_merges(const Json& merges) {
  merges.for_each([&](const Json& merge) {
    if (merge.is_array()) {
      std::vector<std::string_view> parts;
      merge.for_each([&](const Json& part) { parts.push_back(part.string()); });
      if (parts.size() != 2) merge.reject("two tokens");
      add_merge(merge, parts[0], parts[1]);
      return;
    }
    const std::string_view text = merge.string();
    if (text.starts_with("#version")) return;
    const std::size_t space = text.find(' ');
    if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) {
      merge.reject("two tokens with a space between them");
    }
    add_merge(merge, text.substr(0, space), text.substr(space + 1));
  });
}

void Bpe::add_merge(const Json& merge, std::string_view left, std::string_view right) {
  const auto require = [&](std::optional<int32_t> id, std::string_view token) {
    if (!id)
      merge.reject(fmt::format("tokens of the vocabulary, which lacks \"{}\"", shown(token)));
    return *id;
  };
  const int32_t left_id = require(vocabulary_.find(left), left);
  const int32_t right_id = require(vocabulary_.find(right), right);
  if (right.size() < prefix_.size()) {
    merge.reject(fmt::format("a second token that begins with \"{}\"", shown(prefix_)));
  }
  const std::string merged = std::string(left) + std::string(right.substr(prefix_.size()));
  pairs_.add(left_id, right_id, require(vocabulary_.find(merged), merged));
}

void Bpe::fill_tables() {
  chars_.fill(-1);
  for (char32_t code = 0; code < kTableEnd; ++code) {
    std::string character;
    append_utf8(character, code);
    chars_[code] = vocabulary_.find(character).value_or(-1);
  }
  for (std::size_t byte = 0; byte < bytes_.size(); ++byte) {
    bytes_[byte] = vocabulary_.find(fmt::format("<0x{:02X}>", byte)).value_or(-1);
  }
}

void Bpe::tokenize_anew(std::string_view word, std::vector<ModelToken>& tokens) const {
  if (ignores_merges_) {
    if (const auto id = vocabulary_.find(word)) {
      tokens.push_back({*id, 0, static_cast<uint32_t>(word.size())});
      return;
    }
  }
  std::vector<BpeSymbol> symbols;
  symbols.reserve(word.size());
  split(word, symbols);
  merge_pairs(pairs_, symbols);
  uint32_t begin = 0;
  for (const BpeSymbol& symbol : symbols) {
    tokens.push_back({symbol.id, begin, begin + symbol.length});
    begin += symbol.length;
  }
}

// A character that is neither a token nor bytes is left out when there is no unknown token, and
// what follows moves up. Bytes do not end a run of unknown characters, which comes after them. All
// this is the format's meaning.
void Bpe::split(std::string_view word, std::vector<BpeSymbol>& symbols) const {
  uint32_t unknown = 0;  // bytes of the unknown characters that wait
  const auto flush = [&] {
    if (unknown > 0) symbols.push_back({unknown_id(), unknown});
    unknown = 0;
  };
  for (std::size_t begin = 0; begin < word.size();) {
    const CodePoint c = decode_first(word.substr(begin));
    const std::string_view character = word.substr(begin, c.length);
    const bool first = begin == 0;
    begin += c.length;
    const bool last = begin == word.size();
    const int32_t id = find_char(character, c.code, first, last);
    if (id >= 0) {
      flush();
      symbols.push_back({id, c.length});
    } else if (byte_fallback_ && append_bytes(written(character, first, last), symbols)) {
      continue;
    } else if (unknown_token_) {
      static_cast<void>(unknown_id());
      if (!fuses_unknown_) flush();
      unknown += c.length;
    }
  }
  flush();
}

int32_t Bpe::find_char(std::string_view character, char32_t code, bool first, bool last) const {
  const bool plain = (first || prefix_.empty()) && (!last || suffix_.empty());
  if (plain && code < kTableEnd) return chars_[code];
  const auto id = vocabulary_.find(plain ? character : written(character, first, last));
  return id.value_or(-1);
}

bool Bpe::append_bytes(std::string_view text, std::vector<BpeSymbol>& symbols) const {
  for (const char c : text) {
    if (bytes_[static_cast<unsigned char>(c)] < 0) return false;
  }
  for (const char c : text) symbols.push_back({bytes_[static_cast<unsigned char>(c)], 1});
  return true;
}

std::string Bpe::written(std::string_view character, bool first, bool last) const {
  std::string text = first ? std::string() : prefix_;
  text += character;
  if (last) text += suffix_;
  return text;
}

int32_t Bpe::unknown_id() const {
  if (unknown_id_) return *unknown_id_;
  fail(Errc::invalid_file, "the text needs the unknown token \"{}\", which the vocabulary lacks",
       shown(unknown_token_.value_or("")));
}

}  // namespace

std::unique_ptr<const Model> make_bpe(const Json& config) { return std::make_unique<Bpe>(config); }

}  // namespace tercel::text
