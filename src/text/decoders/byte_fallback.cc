#include "src/text/decoder.h"
#include "src/text/utf8.h"

namespace tercel::text {
namespace {

bool is_well_formed(std::string_view text) {
  while (!text.empty()) {
    const CodePoint next = decode_first(text);
    // The replacement character itself has three bytes.
    if (next.code == kReplacement && (next.length != 3 || !text.starts_with("\xEF\xBF\xBD"))) {
      return false;
    }
    text.remove_prefix(next.length);
  }
  return true;
}

// A run of tokens <0xNN> is UTF-8; if ill-formed, each of its tokens is U+FFFD. So nothing of a run
// is certain before it ends.
class ByteFallbackStep final : public TokenStep {
 public:
  using TokenStep::TokenStep;
  void finish() override {
    flush();
    TokenStep::finish();
  }

 private:
  void take(std::string_view token) override {
    const int byte = byte_of_token(token);
    if (byte >= 0) {
      bytes_ += static_cast<char>(byte);
      return;
    }
    flush();
    emit(token);
  }
  void flush() {
    if (bytes_.empty()) return;
    if (is_well_formed(bytes_)) {
      emit(bytes_);
    } else {
      for (std::size_t i = 0; i < bytes_.size(); ++i) emit("\xEF\xBF\xBD");
    }
    bytes_.clear();
  }

  std::string bytes_;
};

class ByteFallback final : public Decoder {
 public:
  DecodeStepPtr start(DecodeStepPtr next) const override {
    return std::make_unique<ByteFallbackStep>(std::move(next));
  }
};

}  // namespace

std::unique_ptr<const Decoder> make_byte_fallback(const Json&) {
  return std::make_unique<ByteFallback>();
}

}  // namespace tercel::text
