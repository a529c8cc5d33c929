#include "src/text/decoder.h"
#include "src/text/registry.h"

namespace tercel::text {
namespace {

class ReplaceDecoder final : public Decoder {
 public:
  explicit ReplaceDecoder(const Json& config) : content_(config["content"].string()) {
    for (const char32_t code : read_string_pattern(config, "Replace decoder's")) {
      append_utf8(pattern_, code);
    }
  }
  void apply(std::vector<std::string>& tokens) const override {
    for (std::string& token : tokens) replace_all(token, pattern_, content_);
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
