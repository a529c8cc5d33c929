#include "src/text/decoder.h"
#include "src/text/registry.h"

namespace tercel::text {
namespace {

class MetaspaceStep final : public DecodeStep {
 public:
  MetaspaceStep(std::string_view replacement, bool drops_first, DecodeStepPtr next)
      : replacement_(replacement), drops_(drops_first), next_(std::move(next)) {}
  void push(std::string_view part, bool ends) override {
    std::string text(part);
    replace_all(text, replacement_, drops_ ? "" : " ");
    if (ends) drops_ = false;
    next_->push(text, ends);
  }
  void finish() override { next_->finish(); }

 private:
  std::string_view replacement_;
  bool drops_;  // while the first token lasts
  DecodeStepPtr next_;
};

class MetaspaceDecoder final : public Decoder {
 public:
  explicit MetaspaceDecoder(const Json& config)
      : drops_first_(config.string_or("prepend_scheme", "always") != "never" &&
                     config.boolean_or("add_prefix_space", true)) {
    append_utf8(replacement_, read_char(config, "replacement"));
  }
  DecodeStepPtr start(DecodeStepPtr next) const override {
    return std::make_unique<MetaspaceStep>(replacement_, drops_first_, std::move(next));
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
