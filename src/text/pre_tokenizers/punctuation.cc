#include "src/text/pre_tokenizer.h"
#include "src/text/unicode.h"

namespace tercel::text {
namespace {

constexpr auto kIsPunctuation = [](char32_t code) { return is(code, kPunctuation); };

class Punctuation final : public PreTokenizer {
 public:
  explicit Punctuation(const Json& config) {
    if (const auto behavior = config.find("behavior")) behavior_ = read_split_behavior(*behavior);
  }
  void apply(SplitText& text) const override { split_words_at(text, behavior_, kIsPunctuation); }
  bool apply_ascii(AsciiSplit& text) const override {
    return split_words_at(text, behavior_, kIsPunctuation);
  }

 private:
  SplitBehavior behavior_ = SplitBehavior::isolated;
};

}  // namespace

std::unique_ptr<const PreTokenizer> make_punctuation(const Json& config) {
  return std::make_unique<Punctuation>(config);
}

}  // namespace tercel::text
