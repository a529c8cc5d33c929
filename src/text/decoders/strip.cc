#include <algorithm>

#include "src/text/decoder.h"
#include "src/text/registry.h"

namespace tercel::text {
namespace {

std::size_t read_count(const Json& config, std::string_view key) {
  const int64_t count = config[key].integer();
  if (count < 0) config[key].reject("a number that is not negative");
  return static_cast<std::size_t>(count);
}

// Up to `start` and `stop` times one character goes from the ends of each token.
struct StripRule {
  std::string content;
  std::size_t start = 0;
  std::size_t stop = 0;
};

class StripStep final : public DecodeStep {
 public:
  StripStep(const StripRule& rule, DecodeStepPtr next)
      : rule_(rule), leading_(rule.start), next_(std::move(next)) {}
  void push(std::string_view part, bool ends) override {
    for (; leading_ > 0 && part.starts_with(rule_.content); --leading_) {
      part.remove_prefix(rule_.content.size());
    }
    if (!part.empty()) leading_ = 0;
    push_inner(part);
    if (!ends) return;
    leading_ = rule_.start;
    held_ = 0;
    next_->push({}, true);
  }
  void finish() override { next_->finish(); }

 private:
  // Holds back what the end of the token may take away.
  void push_inner(std::string_view part) {
    std::size_t trailing = 0;
    std::string_view rest = part;
    for (; trailing < rule_.stop && rest.ends_with(rule_.content); ++trailing) {
      rest.remove_suffix(rule_.content.size());
    }
    const std::size_t keeps = rest.empty() ? std::min(rule_.stop - trailing, held_) : 0;
    for (; held_ > keeps; --held_) next_->push(rule_.content, false);
    if (!rest.empty()) next_->push(rest, false);
    held_ += trailing;
  }

  const StripRule& rule_;
  std::size_t leading_;
  std::size_t held_ = 0;
  DecodeStepPtr next_;
};

class StripDecoder final : public Decoder {
 public:
  explicit StripDecoder(const Json& config)
      : rule_{{}, read_count(config, "start"), read_count(config, "stop")} {
    append_utf8(rule_.content, read_char(config, "content"));
  }
  DecodeStepPtr start(DecodeStepPtr next) const override {
    return std::make_unique<StripStep>(rule_, std::move(next));
  }

 private:
  StripRule rule_;
};

}  // namespace

std::unique_ptr<const Decoder> make_strip_decoder(const Json& config) {
  return std::make_unique<StripDecoder>(config);
}

}  // namespace tercel::text
