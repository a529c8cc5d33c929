#include <algorithm>

#include "src/text/normalizer.h"
#include "src/text/unicode.h"

namespace tercel::text {
namespace {

class StripAccents final : public Normalizer {
 public:
  void apply(AlignedText& text) const override {
    std::erase_if(text, [](const AlignedChar& c) { return is(c.code, kMark); });
  }
  bool apply_ascii(std::string&) const override { return true; }
  bool is_local() const override { return true; }
};

}  // namespace

std::unique_ptr<const Normalizer> make_strip_accents(const Json&) {
  return std::make_unique<StripAccents>();
}

}  // namespace tercel::text
