#include "src/text/normalizer.h"
#include "src/text/registry.h"

namespace tercel::text {
namespace {

class Replace final : public Normalizer {
 public:
  explicit Replace(const Json& config)
      : pattern_(read_string_pattern(config, "Replace normalizer's")),
        content_(to_utf32(config["content"].string())) {}
  void apply(AlignedText& text) const override { replace_all(text, pattern_, content_); }
  bool is_local() const override { return false; }

 private:
  std::u32string pattern_;
  std::u32string content_;
};

}  // namespace

std::unique_ptr<const Normalizer> make_replace(const Json& config) {
  return std::make_unique<Replace>(config);
}

}  // namespace tercel::text
