#include "src/text/pre_tokenizer.h"
#include "src/text/unicode.h"

namespace tercel::text {
namespace {

constexpr auto kIsNumeric = [](char32_t code) { return is(code, kNumeric); };

class Digits final : public PreTokenizer {
 public:
  explicit Digits(const Json& config)
      : behavior_(config["individual_digits"].boolean() ? SplitBehavior::isolated
                                                        : SplitBehavior::contiguous) {}
  void apply(SplitText& text) const override { split_words_at(text, behavior_, kIsNumeric); }
  bool apply_ascii(AsciiSplit& text) const override {
    return split_words_at(text, behavior_, kIsNumeric);
  }

 private:
  SplitBehavior behavior_;
};

}  // namespace

std::unique_ptr<const PreTokenizer> make_digits(const Json& config) {
  return std::make_unique<Digits>(config);
}

}  // namespace tercel::text
