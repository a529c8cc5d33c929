#include "src/text/decoder.h"
#include "src/text/registry.h"

namespace tercel::text {
namespace {

std::size_t read_count(const Json& config, std::string_view key) {
  const int64_t count = config[key].integer();
  if (count < 0) config[key].reject("a number that is not negative");
  return static_cast<std::size_t>(count);
}

// Removes up to `start` and `stop` times one character from the ends of each token.
class StripDecoder final : public Decoder {
 public:
  explicit StripDecoder(const Json& config)
      : start_(read_count(config, "start")), stop_(read_count(config, "stop")) {
    append_utf8(content_, read_char(config, "content"));
  }
  void apply(std::vector<std::string>& tokens) const override {
    for (std::string& token : tokens) {
      std::string_view rest = token;
      for (std::size_t i = 0; i < start_ && rest.starts_with(content_); ++i) {
        rest.remove_prefix(content_.size());
      }
      for (std::size_t i = 0; i < stop_ && rest.ends_with(content_); ++i) {
        rest.remove_suffix(content_.size());
      }
      token = std::string(rest);
    }
  }

 private:
  std::string content_;
  std::size_t start_;
  std::size_t stop_;
};

}  // namespace

std::unique_ptr<const Decoder> make_strip_decoder(const Json& config) {
  return std::make_unique<StripDecoder>(config);
}

}  // namespace tercel::text
