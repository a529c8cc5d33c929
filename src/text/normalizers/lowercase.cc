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
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!is(text[i].code, kCased)) continue;
    char32_t out[2];
    const std::size_t count = lowercase(text[i].code, out);
    text[i].code = out[0];
    if (count == 2) {
      const AlignedChar second{out[1], text[i].origin};
      text.insert(text.begin() + static_cast<std::ptrdiff_t>(++i), second);
    }
  }
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
