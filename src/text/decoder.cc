#include "src/text/decoder.h"

#include <vector>

#include "src/text/registry.h"

namespace tercel::text {
namespace {

// Steps call one another: a file must not choose how deep.
constexpr std::size_t kMaxSteps = 64;

class SequenceDecoder final : public Decoder {
 public:
  explicit SequenceDecoder(const Json& config) {
    const Json parts = config["decoders"];
    parts.for_each([&](const Json& part) {
      parts_.push_back(make_decoder(part));
      steps_ += parts_.back()->steps();
      if (steps_ > kMaxSteps) parts.reject(fmt::format("at most {} decoders", kMaxSteps));
    });
  }
  DecodeStepPtr start(DecodeStepPtr next) const override {
    for (auto part = parts_.rbegin(); part != parts_.rend(); ++part) {
      next = (*part)->start(std::move(next));
    }
    return next;
  }
  std::size_t steps() const override { return steps_; }

 private:
  std::vector<std::unique_ptr<const Decoder>> parts_;
  std::size_t steps_ = 0;
};

std::unique_ptr<const Decoder> make_decoder_sequence(const Json& config) {
  return std::make_unique<SequenceDecoder>(config);
}

constexpr StageRow<Decoder> kDecoders[] = {
    {"BPEDecoder", make_bpe_decoder},
    {"ByteFallback", make_byte_fallback},
    {"ByteLevel", make_byte_level_decoder},
    {"CTC", make_ctc},
    {"Fuse", make_fuse},
    {"Metaspace", make_metaspace_decoder},
    {"Replace", make_replace_decoder},
    {"Sequence", make_decoder_sequence},
    {"Strip", make_strip_decoder},
    {"WordPiece", make_wordpiece_decoder},
};

class AppendStep final : public DecodeStep {
 public:
  explicit AppendStep(std::string& text) : text_(text) {}
  void push(std::string_view part, bool) override { text_ += part; }
  void finish() override {}

 private:
  std::string& text_;
};

class SpaceStep final : public TokenStep {
 public:
  using TokenStep::TokenStep;
  void take(std::string_view token) override {
    if (!first_) next().push(" ", false);
    first_ = false;
    emit(token);
  }

 private:
  bool first_ = true;
};

}  // namespace

void TokenStep::push(std::string_view part, bool ends) {
  if (ends && token_.empty()) return take(part);
  token_ += part;
  if (!ends) return;
  const std::string token = std::move(token_);
  token_.clear();
  take(token);
}

DecodeStepPtr append_to(std::string& text) { return std::make_unique<AppendStep>(text); }

DecodeStepPtr join_by_spaces(DecodeStepPtr next) {
  return std::make_unique<SpaceStep>(std::move(next));
}

std::unique_ptr<const Decoder> make_decoder(const Json& config) {
  return find_stage<Decoder>(kDecoders, "decoder", config["type"].string()).make(config);
}

void replace_all(std::string& text, std::string_view pattern, std::string_view content) {
  std::size_t match = text.find(pattern);
  if (match == std::string::npos) return;
  std::string result;
  std::size_t copied = 0;
  for (; match != std::string::npos; match = text.find(pattern, copied)) {
    result.append(text, copied, match - copied);
    result.append(content);
    copied = match + pattern.size();
  }
  result.append(text, copied);
  text = std::move(result);
}

int byte_of_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
  };
  const int low = digit(token[4]);
  if (low < 0) return -1;
  // As the package reads numbers: "<0x+5>" is one.
  if (token[3] == '+') return low;
  const int high = digit(token[3]);
  return high < 0 ? -1 : high * 16 + low;
}

std::size_t incomplete_tail(std::string_view bytes) {
  const std::size_t reach = bytes.size() < 3 ? bytes.size() : 3;
  for (std::size_t back = 1; back <= reach; ++back) {
    const auto lead = static_cast<unsigned char>(bytes[bytes.size() - back]);
    if ((lead & 0xC0) == 0x80) continue;
    const std::size_t length = lead < 0xC2 || lead > 0xF4 ? 1
                               : lead < 0xE0              ? 2
                               : lead < 0xF0              ? 3
                                                          : 4;
    if (length <= back) return 0;
    return decode_first(bytes.substr(bytes.size() - back)).length == back ? back : 0;
  }
  return 0;
}

void append_well_formed(std::string& text, std::string_view bytes) {
  while (!bytes.empty()) {
    const CodePoint next = decode_first(bytes);
    append_utf8(text, next.code);
    bytes.remove_prefix(next.length);
  }
}

}  // namespace tercel::text
