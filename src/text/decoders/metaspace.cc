#include "src/text/decoder.h"
#include "src/text/registry.h"

namespace tercel::text {
namespace {

class MetaspaceDecoder final : public Decoder {
 public:
  explicit MetaspaceDecoder(const Json& config)
      : drops_first_(config.string_or("prepend_scheme", "always") != "never" &&
                     config.boolean_or("add_prefix_space", true)) {
    append_utf8(replacement_, read_char(config, "replacement"));
  }
  void apply(std::vector<std::string>& tokens) const override {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      replace_all(tokens[i], replacement_, i == 0 && drops_first_ ? "" : " ");
    }
  }

 private:
  std::string replacement_;
  bool drops_first_;
};

}  // namespace

std::unique_ptr<const Decoder> make_metaspace_decoder(const Json& config) {
  return std::make_unique<MetaspaceDecoder>(config);
}

}  // namespace tercel::text
