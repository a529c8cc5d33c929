#include <array>
#include <string_view>

#include "src/text/pre_tokenizer.h"
#include "src/text/unicode.h"

namespace tercel::text {
namespace {

enum class AsciiKind : uint8_t { letter, space, punctuation };

constexpr std::array<AsciiKind, 128> make_ascii_kinds() {
  std::array<AsciiKind, 128> kinds{};
  for (std::size_t c = 0; c < 128; ++c) {
    const bool space = c == ' ' || (c >= '\t' && c <= '\r');
    const bool alphanumeric =
        (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    const bool punctuation = c > ' ' && c < 0x7F && !alphanumeric;
    kinds[c] = space ? AsciiKind::space : punctuation ? AsciiKind::punctuation : AsciiKind::letter;
  }
  return kinds;
}
constexpr std::array<AsciiKind, 128> kAsciiKinds = make_ascii_kinds();

// Words are what stands between white space and punctuation; each punctuation mark is a word.
class BertPreTokenizer final : public PreTokenizer {
 public:
  void apply(SplitText& text) const override {
    std::vector<IndexRange> words;
    words.reserve(text.chars.size() / 4 + 1);
    for (const IndexRange word : text.words) {
      uint32_t begin = word.begin;
      for (uint32_t i = word.begin; i < word.end; ++i) {
        const uint16_t classes = char_class(text.chars[i].code);
        if ((classes & (kWhite | kPunctuation)) == 0) continue;
        if (begin < i) words.push_back({begin, i});
        if ((classes & kWhite) == 0) words.push_back({i, i + 1});
        begin = i + 1;
      }
      if (begin < word.end) words.push_back({begin, word.end});
    }
    text.words = std::move(words);
  }

  bool apply_ascii(AsciiSplit& text) const override {
    if (text.alphabet != nullptr || !text.is_whole()) return false;
    const std::string_view ascii = text.chars;
    text.words.clear();
    uint32_t begin = 0;
    const auto size = static_cast<uint32_t>(ascii.size());
    for (uint32_t i = 0; i < size; ++i) {
      const AsciiKind kind = kAsciiKinds[static_cast<unsigned char>(ascii[i]) & 0x7F];
      if (kind == AsciiKind::letter) continue;
      if (begin < i) text.words.push_back({begin, i});
      if (kind == AsciiKind::punctuation) text.words.push_back({i, i + 1});
      begin = i + 1;
    }
    if (begin < size) text.words.push_back({begin, size});
    return true;
  }

  bool cuts_at_space() const override { return true; }
};

}  // namespace

std::unique_ptr<const PreTokenizer> make_bert_pre_tokenizer(const Json&) {
  return std::make_unique<BertPreTokenizer>();
}

}  // namespace tercel::text
