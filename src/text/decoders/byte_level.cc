#include "src/text/byte_level.h"

#include "src/text/decoder.h"
#include "src/text/utf8.h"

namespace tercel::text {
namespace {

// All tokens are bytes of one text; a token with a character outside the alphabet is text itself.
class ByteLevelStep final : public TokenStep {
 public:
  using TokenStep::TokenStep;
  void finish() override {
    send(bytes_.size());
    next().push({}, true);
    TokenStep::finish();
  }

 private:
  void take(std::string_view token) override {
    const std::size_t before = bytes_.size();
    for (std::string_view rest = token; !rest.empty();) {
      const CodePoint c = decode_first(rest);
      const int byte = c.code < kByteLevelEnd ? kByteLevelBytes[c.code] : -1;
      if (byte < 0) {
        bytes_.resize(before);
        bytes_ += token;
        break;
      }
      bytes_ += static_cast<char>(byte);
      rest.remove_prefix(c.length);
    }
    send(bytes_.size() - incomplete_tail(bytes_));
  }
  void send(std::size_t count) {
    if (count == 0) return;
    std::string text;
    append_well_formed(text, std::string_view(bytes_).substr(0, count));
    bytes_.erase(0, count);
    next().push(text, false);
  }

  std::string bytes_;  // received, and not yet whole characters
};

class ByteLevelDecoder final : public Decoder {
 public:
  DecodeStepPtr start(DecodeStepPtr next) const override {
    return std::make_unique<ByteLevelStep>(std::move(next));
  }
};

}  // namespace

std::unique_ptr<const Decoder> make_byte_level_decoder(const Json&) {
  return std::make_unique<ByteLevelDecoder>();
}

}  // namespace tercel::text
