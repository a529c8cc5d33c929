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
        split_(config.boolean_or("split", true)) {}

  void apply(SplitText& text) const override {
    for (AlignedChar& c : text.chars) {
      if (c.code == U' ') c.code = replacement_;
    }
    if (scheme_ != PrependScheme::never) prepend_all(text);
    if (split_) {
      split_words_at(text, SplitBehavior::merged_with_next,
                     [&](char32_t code) { return code == replacement_; });
    }
  }

 private:
  void prepend_all(SplitText& text) const {
    AlignedText chars;
    chars.reserve(text.chars.size() + text.words.size());
    for (IndexRange& word : text.words) {
      const AlignedChar& first = text.chars[word.begin];
      const auto begin = static_cast<uint32_t>(chars.size());
      const bool at_start = scheme_ == PrependScheme::always || first.origin.begin == 0;
      if (at_start && first.code != replacement_) chars.push_back({replacement_, first.origin});
      chars.insert(chars.end(), text.chars.begin() + word.begin, text.chars.begin() + word.end);
      word = {begin, static_cast<uint32_t>(chars.size())};
    }
    text.chars = std::move(chars);
  }

  char32_t replacement_;
  PrependScheme scheme_;
  bool split_;
};

}  // namespace

std::unique_ptr<const PreTokenizer> make_metaspace(const Json& config) {
  return std::make_unique<Metaspace>(config);
}

}  // namespace tercel::text
