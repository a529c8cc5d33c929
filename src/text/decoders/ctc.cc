#include <optional>

#include "src/text/decoder.h"

namespace tercel::text {
namespace {

struct CtcRule {
  std::string pad;
  std::string word_delimiter;
  bool cleanup = true;
};

// Connectionist temporal classification (Graves et al., 2006): of equal neighbours one remains,
// then the pad tokens between them go.
class CtcStep final : public TokenStep {
 public:
  CtcStep(const CtcRule& rule, DecodeStepPtr next) : TokenStep(std::move(next)), rule_(rule) {}

 private:
  void take(std::string_view token) override {
    if (previous_ == token) return;
    previous_.emplace(token);
    std::string text(token);
    replace_all(text, rule_.pad, "");
    if (rule_.cleanup) {
      clean_up_spaces(text);
      replace_all(text, rule_.word_delimiter, " ");
    }
    if (!text.empty()) emit(text);
  }

  const CtcRule& rule_;
  std::optional<std::string> previous_;
};

class Ctc final : public Decoder {
 public:
  explicit Ctc(const Json& config)
      : rule_{std::string(config["pad_token"].string()),
              std::string(config["word_delimiter_token"].string()), config["cleanup"].boolean()} {
    if (rule_.pad.empty()) config["pad_token"].reject("a token that is not empty");
    if (rule_.word_delimiter.empty()) {
      config["word_delimiter_token"].reject("a token that is not empty");
    }
  }
  DecodeStepPtr start(DecodeStepPtr next) const override {
    return std::make_unique<CtcStep>(rule_, std::move(next));
  }

 private:
  CtcRule rule_;
};

}  // namespace

std::unique_ptr<const Decoder> make_ctc(const Json& config) {
  return std::make_unique<Ctc>(config);
}

}  // namespace tercel::text
