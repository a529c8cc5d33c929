#include "src/text/decoder.h"

#include "src/text/registry.h"

namespace tercel::text {
namespace {

class SequenceDecoder final : public Decoder {
 public:
  explicit SequenceDecoder(const Json& config) {
    config["decoders"].for_each([&](const Json& part) { parts_.push_back(make_decoder(part)); });
  }
  void apply(std::vector<std::string>& tokens) const override {
    for (const auto& part : parts_) part->apply(tokens);
  }

 private:
  std::vector<std::unique_ptr<const Decoder>> parts_;
};

std::unique_ptr<const Decoder> make_sequence(const Json& config) {
  return std::make_unique<SequenceDecoder>(config);
}

constexpr StageRow<Decoder> kDecoders[] = {
    {"Fuse", make_fuse},
    {"Metaspace", make_metaspace_decoder},
    {"Replace", make_replace_decoder},
    {"Sequence", make_sequence},
    {"Strip", make_strip_decoder},
    {"WordPiece", make_wordpiece_decoder},
};

}  // namespace

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

}  // namespace tercel::text
