// The normalizer of SentencePiece: user-defined symbols stay as they are, the longest rule of the
// character map rewrites the text at each place, and white space is trimmed and made visible.

#include <string>
#include <vector>

#include "src/text/chars_map.h"
#include "src/text/models/trie.h"
#include "src/text/sentencepiece/stages.h"
#include "src/text/utf8.h"

namespace tercel::text {
namespace {

std::vector<Trie::Entry> user_defined(const SentencePieceFile& file) {
  std::vector<Trie::Entry> entries;
  for (const SentencePiece& piece : file.pieces) {
    if (piece.type == PieceType::user_defined) entries.emplace_back(piece.text, 0);
  }
  return entries;
}

// The text as it is written, and for each of its bytes and its end where in the original it began.
struct Output {
  std::string text;
  std::vector<uint32_t> origins;

  void append(std::string_view part, uint32_t origin) {
    text += part;
    origins.resize(text.size(), origin);
  }
};

class SentencePieceNormalizer final : public Normalizer {
 public:
  explicit SentencePieceNormalizer(const SentencePieceFile& file)
      : symbols_(user_defined(file)),
        add_prefix_(file.add_dummy_prefix),
        space_is_suffix_(file.space_is_suffix),
        trims_(file.remove_extra_spaces),
        space_(file.escape_spaces ? kVisibleSpace : " ") {
    if (!file.chars_map.empty()) rules_ = CharsMap(file.chars_map, file.source);
  }

  void apply(AlignedText& text) const override {
    if (text.empty()) return;
    RenderedText source;
    source.assign(text.data(), text.data() + text.size());
    const auto origin_of = [&](std::size_t byte) {
      return byte < source.bytes.size() ? text[source.char_of[byte]].origin.begin
                                        : text.back().origin.end;
    };
    const Output output = normalize(source.bytes, origin_of);
    text.clear();
    for (std::size_t at = 0; at < output.text.size();) {
      const CodePoint next = decode_first(std::string_view(output.text).substr(at));
      text.push_back({next.code, {output.origins[at], output.origins[at + next.length]}});
      at += next.length;
    }
  }
  bool is_local() const override { return false; }

 private:
  struct Step {
    std::string_view text;
    std::size_t consumed;
  };

  // What the beginning of `rest` becomes.
  Step step(std::string_view rest) const {
    if (const std::size_t symbol = symbol_at(rest); symbol > 0) {
      return {rest.substr(0, symbol), symbol};
    }
    if (const auto match = rules_.longest(rest)) return {match->replacement, match->length};
    const CodePoint next = decode_first(rest);
    // Only a rule that ends inside a character leaves one that is ill-formed.
    const bool ill_formed = next.code == kReplacement && next.length < 3;
    return {ill_formed ? std::string_view("\xEF\xBF\xBD") : rest.substr(0, next.length),
            next.length};
  }

  std::size_t symbol_at(std::string_view rest) const {
    std::size_t longest = 0;
    uint32_t node = Trie::kRoot;
    for (std::size_t i = 0; i < rest.size(); ++i) {
      node = symbols_.step(node, static_cast<unsigned char>(rest[i]));
      if (node == Trie::kRoot) break;
      if (symbols_.value(node) >= 0) longest = i + 1;
    }
    return longest;
  }

  template <class OriginOf>
  Output normalize(std::string_view source, OriginOf&& origin_of) const {
    Output output;
    std::size_t at = 0;
    while (trims_ && at < source.size()) {
      const Step leading = step(source.substr(at));
      if (leading.text != " ") break;
      at += leading.consumed;
    }
    if (at == source.size()) return output;
    output.text.reserve(source.size() + source.size() / 2);
    output.origins.reserve(output.text.capacity() + 1);
    if (add_prefix_ && !space_is_suffix_) output.append(space_, origin_of(at));
    bool after_space = trims_;
    while (at < source.size()) {
      Step next = step(source.substr(at));
      while (after_space && next.text.starts_with(' ')) next.text.remove_prefix(1);
      if (!next.text.empty()) {
        append_escaped(output, next.text, origin_of(at));
        after_space = trims_ && next.text.ends_with(' ');
      }
      at += next.consumed;
    }
    uint32_t end = origin_of(at);
    while (trims_ && output.text.ends_with(space_)) {
      output.text.resize(output.text.size() - space_.size());
      end = output.origins[output.text.size()];
      output.origins.resize(output.text.size());
    }
    if (add_prefix_ && space_is_suffix_) output.append(space_, end);
    output.origins.push_back(end);
    return output;
  }

  void append_escaped(Output& output, std::string_view part, uint32_t origin) const {
    for (std::size_t space = part.find(' '); space != std::string_view::npos;
         space = part.find(' ')) {
      output.append(part.substr(0, space), origin);
      output.append(space_, origin);
      part.remove_prefix(space + 1);
    }
    output.append(part, origin);
  }

  Trie symbols_;
  CharsMap rules_;
  bool add_prefix_;
  bool space_is_suffix_;
  bool trims_;
  std::string_view space_;
};

}  // namespace

std::unique_ptr<const Normalizer> make_sentencepiece_normalizer(const SentencePieceFile& file) {
  return std::make_unique<SentencePieceNormalizer>(file);
}

}  // namespace tercel::text
