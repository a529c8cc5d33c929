#include <utility>

#include "src/text/decoder.h"

namespace tercel::text {
namespace {

class WordPieceStep final : public TokenStep {
 public:
  WordPieceStep(std::string_view prefix, bool cleanup, DecodeStepPtr next)
      : TokenStep(std::move(next)), prefix_(prefix), cleanup_(cleanup) {}

 private:
  void take(std::string_view token) override {
    std::string text;
    if (!first_) {
      if (token.starts_with(prefix_)) {
        token.remove_prefix(prefix_.size());
      } else {
        text = " ";
      }
    }
    first_ = false;
    text += token;
    if (cleanup_) clean_up_spaces(text);
    emit(text);
  }

  std::string_view prefix_;
  bool cleanup_;
  bool first_ = true;
};

class WordPieceDecoder final : public Decoder {
 public:
  explicit WordPieceDecoder(const Json& config)
      : prefix_(config.string_or("prefix", "##")), cleanup_(config.boolean_or("cleanup", true)) {}
  DecodeStepPtr start(DecodeStepPtr next) const override {
    return std::make_unique<WordPieceStep>(prefix_, cleanup_, std::move(next));
  }

 private:
  std::string prefix_;
  bool cleanup_;
};

}  // namespace

void clean_up_spaces(std::string& text) {
  static constexpr std::pair<std::string_view, std::string_view> kRules[] = {
      {" .", "."},   {" ?", "?"},     {" !", "!"},     {" ,", ","},
      {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},   {" do not", " don't"},
      {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
  };
  for (const auto& [from, to] : kRules) replace_all(text, from, to);
}

std::unique_ptr<const Decoder> make_wordpiece_decoder(const Json& config) {
  return std::make_unique<WordPieceDecoder>(config);
}

}  // namespace tercel::text
