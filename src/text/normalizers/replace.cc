#include "src/text/normalizer.h"
#include "src/text/pattern.h"
#include "src/text/utf8.h"

namespace tercel::text {
namespace {

class Replace final : public Normalizer {
 public:
  explicit Replace(const Json& config)
      : pattern_(config["pattern"]),
        content_(config["content"].string()),
        characters_(to_utf32(content_)) {}

  void apply(AlignedText& text) const override {
    if (text.empty()) return;
    PatternSearch search(pattern_);
    replace(text, search.find_all(text.data(), text.data() + text.size()), characters_);
  }

  bool apply_ascii(std::string& ascii) const override {
    if (ascii.empty()) return true;
    PatternSearch search(pattern_);
    for (const IndexRange match : search.find_all(ascii)) {
      if (match.end - match.begin != content_.size() || !is_ascii(content_)) return false;
      ascii.replace(match.begin, content_.size(), content_);
    }
    return true;
  }

  bool is_local() const override { return false; }

 private:
  TextPattern pattern_;
  std::string content_;
  std::u32string characters_;
};

}  // namespace

std::unique_ptr<const Normalizer> make_replace(const Json& config) {
  return std::make_unique<Replace>(config);
}

}  // namespace tercel::text
