#include "src/base/fail.h"
#include "src/text/decoder.h"
#include "src/text/pattern.h"
#include "src/text/utf8.h"

namespace tercel::text {
namespace {

// Only rules made to explode make more of one token.
constexpr std::size_t kMaxReplaced = std::size_t{16} << 20;

class ReplaceStep final : public TokenStep {
 public:
  ReplaceStep(const TextPattern& pattern, std::string_view content, DecodeStepPtr next)
      : TokenStep(std::move(next)), search_(pattern), content_(content) {}

 private:
  void take(std::string_view token) override {
    decode_into(chars_, token, 0);
    const auto& matches = search_.find_all(chars_.data(), chars_.data() + chars_.size());
    if (matches.empty()) return emit(token);
    if (token.size() + matches.size() * content_.size() > kMaxReplaced) {
      fail(Errc::invalid_file, "the Replace decoder makes more than {} MiB of a token",
           kMaxReplaced >> 20U);
    }
    std::string text;
    uint32_t copied = 0;  // characters
    const auto copy_to = [&](uint32_t end) {
      for (; copied < end; ++copied) append_utf8(text, chars_[copied].code);
    };
    for (const IndexRange match : matches) {
      copy_to(match.begin);
      text += content_;
      copied = match.end;
    }
    copy_to(static_cast<uint32_t>(chars_.size()));
    emit(text);
  }

  PatternSearch search_;
  std::string_view content_;
  AlignedText chars_;
};

class ReplaceDecoder final : public Decoder {
 public:
  explicit ReplaceDecoder(const Json& config)
      : pattern_(config["pattern"]), content_(config["content"].string()) {}
  DecodeStepPtr start(DecodeStepPtr next) const override {
    return std::make_unique<ReplaceStep>(pattern_, content_, std::move(next));
  }

 private:
  TextPattern pattern_;
  std::string content_;
};

}  // namespace

std::unique_ptr<const Decoder> make_replace_decoder(const Json& config) {
  return std::make_unique<ReplaceDecoder>(config);
}

}  // namespace tercel::text
