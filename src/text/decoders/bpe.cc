#include <optional>

#include "src/text/decoder.h"

namespace tercel::text {
namespace {

// The suffix that ends words becomes a space, but in the last token.
class BpeStep final : public TokenStep {
 public:
  BpeStep(std::string_view suffix, DecodeStepPtr next)
      : TokenStep(std::move(next)), suffix_(suffix) {}
  void finish() override {
    if (held_) flush("");
    TokenStep::finish();
  }

 private:
  void take(std::string_view token) override {
    if (held_) flush(" ");
    held_.emplace(token);
  }
  void flush(std::string_view replacement) {
    replace_all(*held_, suffix_, replacement);
    emit(*held_);
    held_.reset();
  }

  std::string_view suffix_;
  std::optional<std::string> held_;
};

class BpeDecoder final : public Decoder {
 public:
  explicit BpeDecoder(const Json& config) : suffix_(config["suffix"].string()) {
    if (suffix_.empty()) config["suffix"].reject("a suffix that is not empty");
  }
  DecodeStepPtr start(DecodeStepPtr next) const override {
    return std::make_unique<BpeStep>(suffix_, std::move(next));
  }

 private:
  std::string suffix_;
};

}  // namespace

std::unique_ptr<const Decoder> make_bpe_decoder(const Json& config) {
  return std::make_unique<BpeDecoder>(config);
}

}  // namespace tercel::text
