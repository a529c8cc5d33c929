#include "src/text/byte_level.h"

#include "src/text/normalizer.h"
#include "src/text/utf8.h"

namespace tercel::text {
namespace {

class ByteLevelNormalizer final : public Normalizer {
 public:
  void apply(AlignedText& text) const override {
    AlignedText result;
    result.reserve(text.size());
    append_byte_level(result, text.data(), text.data() + text.size());
    text = std::move(result);
  }
  bool is_local() const override { return true; }
};

}  // namespace

void append_byte_level(AlignedText& result, const AlignedChar* begin, const AlignedChar* end) {
  std::string bytes;
  for (const AlignedChar* at = begin; at != end; ++at) {
    bytes.clear();
    append_utf8(bytes, at->code);
    for (const char byte : bytes) {
      result.push_back({kByteLevelChars[static_cast<unsigned char>(byte)], at->origin});
    }
  }
}

std::unique_ptr<const Normalizer> make_byte_level_normalizer(const Json&) {
  return std::make_unique<ByteLevelNormalizer>();
}

}  // namespace tercel::text
