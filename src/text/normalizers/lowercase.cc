#include "src/text/normalizer.h"
#include "src/text/unicode.h"

namespace tercel::text {
namespace {

class Lowercase final : public Normalizer {
 public:
  void apply(AlignedText& text) const override { lowercase(text); }
  bool apply_ascii(std::string& ascii) const override {
    lowercase_ascii(ascii);
    return true;
  }
  bool is_local() const override { return true; }
};

}  // namespace

void lowercase(AlignedText& text) {
  char32_t out[2];
  AlignedText longer;  // the text so far, once a character has become two
  bool is_longer = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool cased = is(text[i].code, kCased);
    const std::size_t count = cased ? lowercase(text[i].code, out) : 1;
    if (cased) text[i].code = out[0];
    if (count == 2 && !is_longer) {
      is_longer = true;
      longer.assign(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(i));
    }
    if (is_longer) longer.push_back(text[i]);
    if (count == 2) longer.push_back({out[1], text[i].origin});
  }
  if (is_longer) text = std::move(longer);
}

void lowercase_ascii(std::string& ascii) {
  for (char& c : ascii) {
    const bool upper = c >= 'A' && c <= 'Z';
    c = static_cast<char>(c + (upper ? 'a' - 'A' : 0));
  }
}

std::unique_ptr<const Normalizer> make_lowercase(const Json&) {
  return std::make_unique<Lowercase>();
}

}  // namespace tercel::text
