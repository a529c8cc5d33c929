#include <algorithm>

#include "src/text/normal_forms.h"
#include "src/text/normalizer.h"
#include "src/text/unicode.h"
#include "src/text/utf8.h"

namespace tercel::text {
namespace {

void clean(AlignedText& text) {
  std::size_t kept = 0;
  for (const AlignedChar& c : text) {
    const uint16_t classes = char_class(c.code);
    if ((classes & kOther) != 0 || c.code == kReplacement) continue;
    text[kept++] = {(classes & kWhite) != 0 ? U' ' : c.code, c.origin};
  }
  text.resize(kept);
}

void isolate_chinese(AlignedText& text) {
  const auto chinese = [](const AlignedChar& c) { return is(c.code, kChinese); };
  const auto count = std::count_if(text.begin(), text.end(), chinese);
  if (count == 0) return;
  AlignedText result;
  result.reserve(text.size() + 2 * static_cast<std::size_t>(count));
  for (const AlignedChar& c : text) {
    if (!chinese(c)) {
      result.push_back(c);
      continue;
    }
    result.push_back({U' ', c.origin});
    result.push_back(c);
    result.push_back({U' ', c.origin});
  }
  text = std::move(result);
}

class BertNormalizer final : public Normalizer {
 public:
  explicit BertNormalizer(const Json& config)
      : clean_text_(config.boolean_or("clean_text", true)),
        handle_chinese_chars_(config.boolean_or("handle_chinese_chars", true)),
        lowercase_(config.boolean_or("lowercase", true)),
        strip_accents_(config.boolean_or("strip_accents", lowercase_)) {}

  void apply(AlignedText& text) const override {
    if (clean_text_) clean(text);
    if (handle_chinese_chars_) isolate_chinese(text);
    if (strip_accents_) {
      normalize(text, NormalForm::nfd);
      std::erase_if(text, [](const AlignedChar& c) { return is(c.code, kNonspacing); });
    }
    if (lowercase_) lowercase(text);
  }

  bool apply_ascii(std::string& ascii) const override {
    if (clean_text_) {
      for (char& c : ascii) {
        if (c >= ' ' && c != '\x7F') continue;
        if (c != '\t' && c != '\n' && c != '\r') return false;  // a control, to be removed
        c = ' ';
      }
    }
    if (lowercase_) lowercase_ascii(ascii);
    return true;
  }

  bool is_local() const override { return true; }

 private:
  bool clean_text_;
  bool handle_chinese_chars_;
  bool lowercase_;
  bool strip_accents_;
};

}  // namespace

std::unique_ptr<const Normalizer> make_bert_normalizer(const Json& config) {
  return std::make_unique<BertNormalizer>(config);
}

}  // namespace tercel::text
