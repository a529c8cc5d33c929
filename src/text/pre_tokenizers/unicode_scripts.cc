#include "src/text/pre_tokenizer.h"
#include "src/text/regex/unicode_sets.h"

namespace tercel::text {
namespace {

// Words are runs of one script; spaces join what is before them. What stands before the first
// character of any script is lost: so does `tokenizers`.
class UnicodeScripts final : public PreTokenizer {
 public:
  void apply(SplitText& text) const override {
    std::vector<IndexRange> result;
    for (const IndexRange word : text.words) {
      uint8_t last = 0;
      for (uint32_t i = word.begin; i < word.end; ++i) {
        const uint8_t script = piece_script(text.chars[i].code);
        if (script == 0) continue;
        if (script != last) {
          if (last != 0) result.back().end = i;
          result.push_back({i, word.end});
        }
        last = script;
      }
    }
    text.words = std::move(result);
  }
};

}  // namespace

std::unique_ptr<const PreTokenizer> make_unicode_scripts(const Json&) {
  return std::make_unique<UnicodeScripts>();
}

}  // namespace tercel::text
