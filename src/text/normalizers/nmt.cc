// SentencePiece's rules for machine translation: controls are removed, and rarer white space is a
// space.

#include <algorithm>

#include "src/text/normalizer.h"

namespace tercel::text {
namespace {

bool is_removed(char32_t c) {
  return (c >= 0x01 && c <= 0x08) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F ||
         c == 0x8F || c == 0x9F;
}

bool becomes_space(char32_t c) {
  return c == '\t' || c == '\n' || c == '\f' || c == '\r' || c == 0x1680 ||
         (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF ||
         c == 0xFFFD;
}

class Nmt final : public Normalizer {
 public:
  void apply(AlignedText& text) const override {
    std::erase_if(text, [](const AlignedChar& c) { return is_removed(c.code); });
    for (AlignedChar& c : text) {
      if (becomes_space(c.code)) c.code = ' ';
    }
  }

  bool apply_ascii(std::string& ascii) const override {
    for (char& c : ascii) {
      const auto code = static_cast<unsigned char>(c);
      if (is_removed(code)) return false;
      if (becomes_space(code)) c = ' ';
    }
    return true;
  }

  bool is_local() const override { return true; }
};

}  // namespace

std::unique_ptr<const Normalizer> make_nmt(const Json&) { return std::make_unique<Nmt>(); }

}  // namespace tercel::text
