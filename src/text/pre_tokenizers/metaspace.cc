#include <algorithm>

#include "src/text/pre_tokenizer.h"
#include "src/text/registry.h"

namespace tercel::text {
namespace {

enum class PrependScheme { always, never, first };

PrependScheme read_scheme(const Json& config) {
  const auto prefix_space = config.find("add_prefix_space");
  const auto scheme = config.find("prepend_scheme");
  const bool never = prefix_space && !prefix_space->boolean();
  if (!scheme) return never ? PrependScheme::never : PrependScheme::always;
  const std::string_view name = scheme->string();
  if (never && name != "never") scheme->reject("\"never\", to agree with \"add_prefix_space\"");
  if (name == "always") return PrependScheme::always;
  if (name == "never") return PrependScheme::never;
  if (name == "first") return PrependScheme::first;
  scheme->reject("\"always\", \"never\" or \"first\"");
}

// Writes spaces as a visible character, and lets each word begin with one.
class Metaspace final : public PreTokenizer {
 public:
  explicit Metaspace(const Json& config)
      : replacement_(read_char(config, "replacement")),
        scheme_(read_scheme(config)),
        split_(config.boolean_or("split", true)) {
    for (char32_t c = 0; c < alphabet_.size(); ++c) {
      std::string bytes;
      append_utf8(bytes, c == ' ' ? replacement_ : c);
      AsciiGlyph& glyph = alphabet_[c];
      glyph.length = static_cast<uint8_t>(std::min(bytes.size(), sizeof(glyph.bytes)));
      std::copy_n(bytes.begin(), glyph.length, glyph.bytes);
    }
  }

  void apply(SplitText& text) const override {
    for (AlignedChar& c : text.chars) {
      if (c.code == U' ') c.code = replacement_;
    }
    if (scheme_ != PrependScheme::never) {
      prepend_to_words(text, replacement_, [&](const AlignedChar& first) {
        const bool here = scheme_ == PrependScheme::always || first.origin.begin == 0;
        return here && first.code != replacement_;
      });
    }
    if (split_) {
      split_words_at(text, SplitBehavior::merged_with_next,
                     [&](char32_t code) { return code == replacement_; });
    }
  }

  bool apply_ascii(AsciiSplit& text) const override {
    const bool is_plain = replacement_ >= 0x80 && replacement_ <= 0xFFFF;
    if (!is_plain || text.alphabet != nullptr || !text.is_whole()) return false;
    const bool here =
        scheme_ == PrependScheme::always || (scheme_ == PrependScheme::first && text.is_start);
    if (here && text.chars[0] != ' ' && !prepend_space(text)) return false;
    if (split_) {
      split_words_at(text, SplitBehavior::merged_with_next,
                     [](char32_t code) { return code == ' '; });
    }
    text.alphabet = &alphabet_;
    return true;
  }

 private:
  char32_t replacement_;
  PrependScheme scheme_;
  bool split_;
  AsciiAlphabet alphabet_{};
};

}  // namespace

std::unique_ptr<const PreTokenizer> make_metaspace(const Json& config) {
  return std::make_unique<Metaspace>(config);
}

}  // namespace tercel::text
