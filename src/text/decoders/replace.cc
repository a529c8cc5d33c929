#include "src/text/decoder.h"
#include "src/text/registry.h"

namespace tercel::text {
namespace {

class ReplaceStep final : public TokenStep {
 public:
  ReplaceStep(std::string_view pattern, std::string_view content, DecodeStepPtr next)
      : TokenStep(std::move(next)), pattern_(pattern), content_(content) {}

 private:
  void take(std::string_view token) override {
    std::string text(token);
    replace_all(text, pattern_, content_);
    emit(text);
  }

  std::string_view pattern_;
  std::string_view content_;
};

class ReplaceDecoder final : public Decoder {
 public:
  explicit ReplaceDecoder(const Json& config) : content_(config["content"].string()) {
    for (const char32_t code : read_string_pattern(config, "Replace decoder's")) {
      append_utf8(pattern_, code);
    }
  }
  DecodeStepPtr start(DecodeStepPtr next) const override {
    return std::make_unique<ReplaceStep>(pattern_, content_, std::move(next));
  }

 private:
  std::string pattern_;
  std::string content_;
};

}  // namespace

std::unique_ptr<const Decoder> make_replace_decoder(const Json& config) {
  return std::make_unique<ReplaceDecoder>(config);
}

}  // namespace tercel::text
